/* A stand-in for libusb, put before it with LD_PRELOAD: the real dfu-util sees emulated STM32F405 in their
   DfuSe loader (UM0391, AN3156). What is on the flash, and what goes wrong, is in files that outlive it, one for
   each board: BOARDTALK_DFU=PATH:FILE[,PATH:FILE], where PATH is such as 1-3. See tests/flash/dfu_board.py. */

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct device_descriptor {
    uint8_t length, type; uint16_t usb; uint8_t class, subclass, protocol, packet;
    uint16_t vendor, product, version; uint8_t i_vendor, i_product, i_serial, configurations;
};
struct interface_descriptor {
    uint8_t length, type, number, alternate, endpoints, class, subclass, protocol, name;
    const void *endpoint; const unsigned char *extra; int extra_length;
};
struct interface { const struct interface_descriptor *alternates; int count; };
struct config_descriptor {
    uint8_t length, type; uint16_t total; uint8_t interfaces, value, name, attributes, power;
    const struct interface *interface; const unsigned char *extra; int extra_length;
};

enum { FLASH = 1 << 20, FLASH_AT = 0x08000000, BOARDS = 4 };
enum { E_IO = -1, E_ACCESS = -3, E_NO_DEVICE = -4, E_BUSY = -6, E_PIPE = -9 };
enum { IDLE = 2, DNLOAD_SYNC, DNBUSY, DNLOAD_IDLE, MANIFEST_SYNC, MANIFEST, UPLOAD_IDLE = 9, ERROR };

struct board {      /* the file */
    int32_t present, no_access, busy, is_protected, power_loss_after, slow_ms, weak_at, left, erased, written;
    int32_t reserved[6];
    unsigned char flash[FLASH];
};
struct device { struct board *board; int number; uint8_t ports[8]; int depth; };
struct handle { struct device *device; int state, status; uint32_t address; unsigned char command[16]; int length; };

static struct device devices[BOARDS];
static int count;
static const unsigned char functional[] = {9, 0x21, 0x0b, 0xff, 0, 0, 8, 0x1a, 1};
static const struct interface_descriptor alternates[] = {
    {9, 4, 0, 0, 0, 0xfe, 1, 2, 4, 0, 0, 0}, {9, 4, 0, 1, 0, 0xfe, 1, 2, 5, 0, 0, 0},
    {9, 4, 0, 2, 0, 0xfe, 1, 2, 6, 0, 0, 0}, {9, 4, 0, 3, 0, 0xfe, 1, 2, 7, 0, functional, 9},
};
static const struct interface interfaces[] = {{alternates, 4}};
static struct config_descriptor configuration = {9, 2, 54, 1, 1, 0, 0xc0, 50, interfaces, 0, 0};
static const char *strings[] = {
    "", "STMicroelectronics", "STM32  BOOTLOADER", "",
    "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", "@Option Bytes  /0x1FFFC000/01*016 e",
    "@OTP Memory /0x1FFF7800/01*512 e,01*016 e", "@Device Feature/0xFFFF0000/01*004 e",
};

static int lost(struct board *board) { return !board->present; }

static void program(struct board *board, uint32_t at, const unsigned char *data, int size)
{
    for (int i = 0; i < size && at + i < FLASH; i++) {
        if (board->power_loss_after >= 0 && board->power_loss_after-- == 0) { board->present = 0; return; }
        board->flash[at + i] &= data[i];
        if ((int32_t)at + i == board->weak_at) board->flash[at + i] ^= 1;
        board->written++;
    }
}

static void erase_page(struct board *board, uint32_t at)
{
    uint32_t start = 0, size = 16384;
    for (int number = 0; start + size <= at; number++) {
        start += size;
        size = number < 3 ? 16384 : number < 4 ? 65536 : 131072;
    }
    memset(board->flash + start, 0xff, size);
    board->erased++;
}

static void execute(struct handle *handle, int block)
{
    struct board *board = handle->device->board;
    uint32_t address;
    memcpy(&address, handle->command + 1, 4);
    if (board->slow_ms) nanosleep(&(struct timespec){board->slow_ms / 1000, board->slow_ms % 1000 * 1000000L}, NULL);
    if (board->is_protected) { handle->state = ERROR; handle->status = 11; return; }
    if (block >= 2 || handle->length == 0) return;
    if (handle->command[0] == 0x21) handle->address = address;
    else if (handle->command[0] == 0x41 && handle->length == 1) { memset(board->flash, 0xff, FLASH); board->erased++; }
    else if (handle->command[0] == 0x41) erase_page(board, address - FLASH_AT);
}

int libusb_control_transfer(struct handle *handle, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
                            unsigned char *data, uint16_t length, unsigned int timeout)
{
    struct board *board = handle->device->board;
    (void)index; (void)timeout;
    if (lost(board)) return E_NO_DEVICE;
    if (type == 0x80 && request == 6) {    /* strings; the serial number tells which of the boards it is */
        char serial[] = "357F37763030";
        const char *text = (value & 255) == 3 ? serial : strings[value & 7];
        int size = 2 + 2 * (int)strlen(text);
        serial[11] = (char)('1' + handle->device->number);
        if (!(value & 255)) { memcpy(data, "\4\3\x09\4", 4); return 4; }
        data[0] = (unsigned char)size; data[1] = 3;
        for (int i = 0; text[i] && 3 + 2 * i < length; i++) { data[2 + 2 * i] = (unsigned char)text[i]; data[3 + 2 * i] = 0; }
        return size < length ? size : length;
    }
    switch (request) {
    case 1:
        if (handle->state == ERROR) return E_PIPE;
        handle->length = length;
        if (value < 2) memcpy(handle->command, data, length < 16 ? length : 16);
        else program(board, handle->address - FLASH_AT + (value - 2) * 2048, data, length);
        if (lost(board)) return E_NO_DEVICE;
        handle->command[15] = (unsigned char)(value >= 2);
        handle->state = length ? DNLOAD_SYNC : MANIFEST_SYNC;
        return length;
    case 2: {
        uint32_t at = handle->address - FLASH_AT + (value - 2u) * 2048;
        if (board->is_protected) { handle->state = ERROR; handle->status = 11; return E_PIPE; }
        if (at >= FLASH) return E_PIPE;
        memcpy(data, board->flash + at, length);
        handle->state = UPLOAD_IDLE;
        return length;
    }
    case 3:
        if (handle->state == DNLOAD_SYNC) { handle->state = DNBUSY; execute(handle, handle->command[15] ? 2 : 0); }
        else if (handle->state == DNBUSY) handle->state = DNLOAD_IDLE;
        else if (handle->state == MANIFEST_SYNC) { handle->state = MANIFEST; board->left++; board->present = 0; }
        memcpy(data, (unsigned char[]){(unsigned char)handle->status, 0, 0, 0, (unsigned char)handle->state, 0}, 6);
        return 6;
    case 4: handle->state = IDLE; handle->status = 0; return 0;
    case 5: data[0] = (unsigned char)handle->state; return 1;
    case 6: handle->state = IDLE; return 0;
    default: return E_PIPE;
    }
}

int libusb_init(void **context)
{
    char *list = strdup(getenv("BOARDTALK_DFU") ? getenv("BOARDTALK_DFU") : ""), *rest = list, *entry;
    *context = &devices;
    while ((entry = strsep(&rest, ",")) && *entry && count < BOARDS) {
        struct device *device = &devices[count];
        char *path = strsep(&entry, ":"), *port;
        int file = open(entry, O_RDWR);
        device->number = count++;
        device->board = mmap(NULL, sizeof *device->board, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (device->board == MAP_FAILED) abort();
        strsep(&path, "-");
        while ((port = strsep(&path, "."))) device->ports[device->depth++] = (uint8_t)atoi(port);
    }
    return 0;
}

ssize_t libusb_get_device_list(void *context, struct device ***list)
{
    int found = 0;
    (void)context;
    *list = calloc(BOARDS + 1, sizeof **list);
    for (int i = 0; i < count; i++)
        if (devices[i].board->present) (*list)[found++] = &devices[i];
    return found;
}

int libusb_get_device_descriptor(struct device *device, struct device_descriptor *out)
{
    (void)device;
    *out = (struct device_descriptor){18, 1, 0x0100, 0, 0, 0, 64, 0x0483, 0xdf11, 0x2200, 1, 2, 3, 1};
    return 0;
}

int libusb_open(struct device *device, struct handle **handle)
{
    if (device->board->no_access) return E_ACCESS;
    *handle = calloc(1, sizeof **handle);
    (*handle)->device = device;
    (*handle)->state = IDLE;
    return 0;
}

int libusb_get_port_numbers(struct device *device, uint8_t *ports, int size)
{
    memcpy(ports, device->ports, (size_t)(device->depth < size ? device->depth : size));
    return device->depth;
}

const char *libusb_error_name(int code)
{
    switch (code) {
    case E_IO: return "LIBUSB_ERROR_IO";
    case E_ACCESS: return "LIBUSB_ERROR_ACCESS";
    case E_NO_DEVICE: return "LIBUSB_ERROR_NO_DEVICE";
    case E_BUSY: return "LIBUSB_ERROR_BUSY";
    case E_PIPE: return "LIBUSB_ERROR_PIPE";
    default: return "LIBUSB_ERROR_OTHER";
    }
}

int libusb_get_config_descriptor(void *device, uint8_t index, struct config_descriptor **out)
{ (void)device; (void)index; *out = &configuration; return 0; }
int libusb_claim_interface(struct handle *handle, int number)
{ (void)number; return handle->device->board->busy ? E_BUSY : 0; }
const void *libusb_get_version(void)
{ static const struct { uint16_t v[4]; const char *s[2]; } version = {{1, 0, 26, 0}, {"", ""}}; return &version; }
uint8_t libusb_get_bus_number(void *device) { (void)device; return 1; }
uint8_t libusb_get_device_address(struct device *device) { return (uint8_t)(10 + device->number); }
void libusb_free_config_descriptor(void *config) { (void)config; }
void libusb_free_device_list(void *list, int unref) { (void)unref; free(list); }
void libusb_close(void *handle) { free(handle); }
void libusb_exit(void *context) { (void)context; }
void *libusb_ref_device(void *device) { return device; }
void libusb_unref_device(void *device) { (void)device; }
int libusb_release_interface(void *handle, int number) { (void)handle; (void)number; return 0; }
int libusb_set_interface_alt_setting(void *handle, int number, int alternate)
{ (void)handle; (void)number; (void)alternate; return 0; }
int libusb_reset_device(void *handle) { (void)handle; return 0; }
int libusb_set_option(void *context, int option, ...) { (void)context; (void)option; return 0; }
