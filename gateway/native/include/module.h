/* The name by which modules written for mesibo's loadable modules include their header. */
#define BOARDTALK_PRINTF(at, first) /* their formats were never checked */
#include "boardtalk_module.h"
