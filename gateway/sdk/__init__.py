"""Everything that a loadable module imports.

See :mod:`boardtalk.sdk.module` for the module itself, :mod:`boardtalk.sdk.messages` for the data,
:mod:`boardtalk.sdk.errors` for what is raised.
"""

from boardtalk.sdk.calls import Call, CallState
from boardtalk.sdk.contacts import (
    ArgumentInfo,
    CommandInfo,
    Completion,
    Contact,
    Kind,
    Role,
    SeriesInfo,
    User,
)
from boardtalk.sdk.doctor import Finding, Severity
from boardtalk.sdk.errors import (
    AddressError,
    BoardtalkError,
    ConfigError,
    ModuleError,
    Refused,
    ServiceError,
)
from boardtalk.sdk.messages import (
    MAX_BODY_BYTES,
    MAX_ID_CHARS,
    SYSTEM,
    Code,
    Flag,
    Message,
    State,
    Status,
    check_address,
    check_name,
    iso,
)
from boardtalk.sdk.module import (
    API_VERSION,
    CONSUMED,
    PASS,
    Action,
    Context,
    Log,
    Module,
    Settings,
    Verdict,
)
from boardtalk.sdk.outside import Connection, OutsideError, Response, Timeouts
from boardtalk.sdk.service import JsonService, read_secret
from boardtalk.sdk.text import json_extract, json_extract_all

__all__ = [
    "API_VERSION",
    "CONSUMED",
    "MAX_BODY_BYTES",
    "MAX_ID_CHARS",
    "PASS",
    "SYSTEM",
    "Action",
    "AddressError",
    "ArgumentInfo",
    "BoardtalkError",
    "Call",
    "CallState",
    "Code",
    "CommandInfo",
    "Completion",
    "ConfigError",
    "Connection",
    "Contact",
    "Context",
    "Finding",
    "Flag",
    "JsonService",
    "Kind",
    "Log",
    "Message",
    "Module",
    "ModuleError",
    "OutsideError",
    "Refused",
    "Response",
    "Role",
    "SeriesInfo",
    "ServiceError",
    "Settings",
    "Severity",
    "State",
    "Status",
    "Timeouts",
    "User",
    "Verdict",
    "check_address",
    "check_name",
    "iso",
    "json_extract",
    "json_extract_all",
    "read_secret",
]
