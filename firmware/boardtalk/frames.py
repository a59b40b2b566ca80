"""The wire format. Generated from modules/iot_bridge/frames.py by codegen; do not edit."""

from micropython import const

VERSION = const(1)
DELIMITER = const(0)
MAX_PAYLOAD = const(243)
HEADER_BYTES = const(6)
CRC_BYTES = const(4)
OVERHEAD_BYTES = const(13)
WINDOW = const(8)
CTL_VERSION_MASK = const(3)
CTL_KIND_SHIFT = const(2)
CTL_KIND_MASK = const(28)
CTL_MORE = const(32)
CTL_RETRY = const(64)
TYPE_BASE_MASK = const(65280)

KIND_DATA = const(0x00)
KIND_ACK = const(0x01)
KIND_NAK = const(0x02)
KIND_HELLO = const(0x03)
KIND_DGRAM = const(0x04)
KIND_LOG = const(0x05)
KIND_TIME = const(0x06)
KIND_URGENT = const(0x07)

TYPE_NONE = const(0x00)
TYPE_HELLO = const(0x01)
TYPE_DICTIONARY_GET = const(0x02)
TYPE_DICTIONARY = const(0x03)
TYPE_RENEW = const(0x04)
TYPE_CANCEL = const(0x05)
TYPE_STOP = const(0x06)
TYPE_STOPPED = const(0x07)
TYPE_REARM = const(0x08)
TYPE_STATE = const(0x09)
TYPE_TIME = const(0x0A)
TYPE_STARTED = const(0x10)
TYPE_RESULT = const(0x11)
TYPE_SETPOINT = const(0x20)
TYPE_COMMAND = const(0x100)
TYPE_TELEMETRY = const(0x200)
TYPE_EVENT = const(0x300)

OUTCOME_DONE = const(0x00)
OUTCOME_FAILED = const(0x01)
OUTCOME_REJECTED = const(0x02)
OUTCOME_EXPIRED = const(0x03)
OUTCOME_CANCELLED = const(0x04)

RESET_UNKNOWN = const(0x00)
RESET_POWER_ON = const(0x01)
RESET_HARD = const(0x02)
RESET_WATCHDOG = const(0x03)
RESET_DEEPSLEEP = const(0x04)
RESET_SOFT = const(0x05)

# Bodies: `struct` format and bytes of the fields before the first of variable length.
HEADER = "<BBBBH"
ACK_BODY = "<IH"
ACK_BODY_BYTES = const(6)
LOG_BODY = "<B"
LOG_BODY_BYTES = const(1)
TIME_BODY = "<II"
TIME_BODY_BYTES = const(8)
HELLO_HOST = "<BBI"
HELLO_HOST_BYTES = const(6)
HELLO_BOARD = "<BII8sBIHBBBH"
HELLO_BOARD_BYTES = const(29)
DICTIONARY_GET = "<H"
DICTIONARY_GET_BYTES = const(2)
DICTIONARY = "<HH"
DICTIONARY_BYTES = const(4)
COMMAND_HEAD = "<IIHH"
COMMAND_HEAD_BYTES = const(12)
RENEW = "<IH"
RENEW_BYTES = const(6)
CANCEL = "<I"
CANCEL_BYTES = const(4)
STOP = "<H"
STOP_BYTES = const(2)
STATE_BODY = "<HB"
STATE_BODY_BYTES = const(3)
REARM = "<H"
REARM_BYTES = const(2)
STARTED = "<I"
STARTED_BYTES = const(4)
RESULT_HEAD = "<IB"
RESULT_HEAD_BYTES = const(5)
SETPOINT_HEAD = "<HH"
SETPOINT_HEAD_BYTES = const(4)

# Values by their dictionary type; None: a length byte, then UTF-8.
VALUES = {
    "int": "<i",
    "float": "<f",
    "bool": "<B",
    "choice": "<B",
    "str": None,
}
