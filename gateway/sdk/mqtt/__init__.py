"""MQTT for processes that modules start: the packets, a connection, and the login of this gateway's boards.

A module's own code needs none of it: people's messages come to `on_message`, however they travelled.
"""
