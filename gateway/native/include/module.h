/* The name by which modules written for mesibo's loadable modules include their header. */
#ifndef BOARDTALK_PRINTF
#define BOARDTALK_PRINTF(at, first) /* their formats were never checked */
#endif
#include "boardtalk_module.h"
