"""Wi-Fi, as far as a board at a broker needs it. The only file that imports `network`."""


def join(ssid, password):
    """Begin to join a network."""
    station = _station()
    station.active(False)  # whatever it was about
    station.active(True)
    station.connect(ssid, password)
    try:
        station.config(pm=station.PM_NONE)  # else it listens ten times a second only
    except (AttributeError, OSError, ValueError):
        pass  # not everywhere


def joined():
    """Whether there is a network. Systems without Wi-Fi of their own have one anyway."""
    station = _station()
    return not station or station.isconnected()


def _station():
    try:
        import network
    except ImportError:
        return None
    return network.WLAN(network.STA_IF)
