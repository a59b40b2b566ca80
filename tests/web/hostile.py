"""Texts that would run if anything read them as HTML, as an address, or as a script."""

from __future__ import annotations

from itertools import product
from typing import Final

SCRIPTS: Final = (
    "<script>pwn()</script>",
    "<script src=data:text/javascript,pwn()></script>",
    "<ScRiPt>pwn()</sCrIpT>",
    "<script\n>pwn()</script\n>",
    "<script/x>pwn()</script>",
    "<<script>pwn()//<</script>",
    "<script>pwn()<!--",
    "<img src=x onerror=pwn()>",
    "<img src=x onerror='pwn()'>",
    '<img src="x" onerror="pwn()"/>',
    "<img/src=x/onerror=pwn()>",
    "<img src=x:x onerror\n=\npwn()>",
    "<IMG SRC=javascript:pwn()>",
    "<img src=`x`onerror=pwn()>",
    "<image href=x onerror=pwn()>",
    "<svg onload=pwn()>",
    "<svg><script>pwn()</script></svg>",
    "<svg><animate onbegin=pwn() attributeName=x dur=1s>",
    "<svg><a xlink:href=javascript:pwn()><text y=20>click</text></a></svg>",
    "<svg><set attributeName=href to=javascript:pwn()></svg>",
    "<svg><foreignObject><body onload=pwn()></foreignObject></svg>",
    "<math><mi xlink:href=javascript:pwn()>click</mi></math>",
    "<math href=javascript:pwn()>click</math>",
    "<body onload=pwn()>",
    "<body background=javascript:pwn()>",
    "<iframe src=javascript:pwn()></iframe>",
    "<iframe srcdoc='<script>parent.pwn()</script>'></iframe>",
    "<iframe onload=pwn()></iframe>",
    "<object data=javascript:pwn()></object>",
    "<embed src=javascript:pwn()>",
    "<a href=javascript:pwn()>click</a>",
    "<a href='jav&#x09;ascript:pwn()'>click</a>",
    "<a href=data:text/html,<script>pwn()</script>>click</a>",
    "<form action=javascript:pwn()><button>click</button></form>",
    "<button formaction=javascript:pwn()>click</button>",
    "<input autofocus onfocus=pwn()>",
    "<select autofocus onfocus=pwn()>",
    "<textarea autofocus onfocus=pwn()>",
    "<details open ontoggle=pwn()>",
    "<video><source onerror=pwn()></video>",
    "<audio src=x onerror=pwn()>",
    "<video poster=javascript:pwn()>",
    "<marquee onstart=pwn()>",
    "<div style=width:expression(pwn())>",
    "<div style=background:url(javascript:pwn())>",
    "<style>@import 'javascript:pwn()';</style>",
    "<style>*{x:expression(pwn())}</style>",
    "<link rel=stylesheet href=javascript:pwn()>",
    "<meta http-equiv=refresh content='0;url=javascript:pwn()'>",
    "<base href=javascript:pwn()//>",
    "<template><script>pwn()</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=pwn()>'>",
    "<title></title><script>pwn()</script>",
    "<textarea></textarea><script>pwn()</script>",
    "<xmp></xmp><img src=x onerror=pwn()>",
    "<x onclick=pwn() tabindex=1 autofocus onfocus=pwn()>",
    "<portal src=javascript:pwn()>",
    "<dialog open onclose=pwn()><form method=dialog><button>",
    "<isindex action=javascript:pwn() type=image>",
    "&lt;img src=x onerror=pwn()&gt;",
    "\\u003cimg src=x onerror=pwn()\\u003e",
    "javascript:pwn()",
    "JaVaScRiPt:pwn()",
    "java\tscript:pwn()",
    "data:text/html,<script>pwn()</script>",
    "vbscript:pwn()",
    'https://x.example/"onmouseover=pwn()//',
    "https://x.example/<script>pwn()</script>",
    "http://javascript:pwn()@x.example/",
    "{{constructor.constructor('pwn()')()}}",
    "${pwn()}",
    "#{pwn()}",
    "<%= pwn() %>",
    "'-pwn()-'",
    '";pwn();//',
    "</textarea><svg/onload=pwn()>",
)
FRAMES: Final = ("{}", "`{}` and **{}**", "| a | b |\n|---|---|\n| {} | {} |", "[click]({}) ![x]({})")
CORPUS: Final = tuple(frame.replace("{}", script) for frame, script in product(FRAMES, SCRIPTS))
"""300 of them."""

TRAP: Final = (
    "window.pwned = []; window.pwn = () => window.pwned.push(new Error().stack); window.alert = window.pwn;"
)

MODULE: Final = """
from boardtalk.sdk import CONSUMED, PASS, ArgumentInfo, CommandInfo, Contact, Kind, Module

EVIL = {evil!r}


class Hostile(Module):
    name = "hostile"
    description = EVIL
    version = "1"
    api_version = 1

    def on_start(self):
        args = [
            ArgumentInfo(name=EVIL, type="choice", choices=(EVIL,), unit=EVIL, default=EVIL),
            ArgumentInfo(name=EVIL, type="str", default=EVIL),
            ArgumentInfo(name=EVIL, type="int", unit=EVIL, min=0, max=1),
        ]
        commands = (CommandInfo(name=EVIL, help=EVIL, cls=EVIL, args=tuple(args)),)
        self.context.register(
            Contact(address="evil", kind=Kind.ROBOT, online=True, about=EVIL, state=EVIL, commands=commands)
        )

    def on_complete(self, to, line):
        from boardtalk.sdk import Completion

        return [Completion(EVIL, EVIL)]

    def on_message(self, message):
        if message.to != "evil":
            return PASS
        self.context.explain(message, EVIL, EVIL)
        self.reply(message, EVIL)
        raise RuntimeError(EVIL)
"""
"""A module all of whose names and words are one of them."""
