"""The link process: owns ports, sessions, stop and leases; holds no chat and loads no module.

``python -m boardtalk.modules.iot_bridge.service --state DIR`` listens on ``DIR/link.sock``; what is
said there stands in `api`. Whoever may open the socket (0600) may stop; one gateway at a time
attaches and gets everything that happens. When the gateway goes away nothing is renewed any more,
so motions end; ports and stops are kept for the next one.
"""
