"""What modules may import: a name that goes, or changes its meaning, needs another `API_VERSION`."""

from __future__ import annotations

import inspect

from boardtalk import sdk

NAMES = """
API_VERSION Action AddressError ArgumentInfo BoardtalkError CONSUMED Call CallState Code CommandInfo
Completion ConfigError Connection Contact Context Finding Flag JsonService Kind Log MAX_BODY_BYTES
MAX_ID_CHARS Message Module ModuleError OutsideError PASS Refused Response Role SYSTEM SeriesInfo
ServiceError Settings Severity State Status Timeouts User Verdict check_address check_name iso json_extract
json_extract_all read_secret
""".split()  # noqa: SIM905 - easier to compare


def test_the_exported_names_are_these() -> None:
    assert sorted(sdk.__all__) == sorted(NAMES)


def test_each_class_and_function_and_each_method_says_what_it_is_for() -> None:
    for name in sdk.__all__:
        value = getattr(sdk, name)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        assert value.__doc__, name
        methods = {
            key: each for key, each in vars(value).items() if inspect.isfunction(each) and key[0] != "_"
        }
        assert not [key for key, each in methods.items() if not each.__doc__], name
