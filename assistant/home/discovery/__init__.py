"""Devices that announce themselves by Home Assistant's MQTT discovery.

Everything here comes off the wire and is not trusted: a payload that can't be used is dropped and
logged once, and touches no other device.

The way of a message: `payload` turns a configuration message into entities, `entity` names and
places one, `components` knows what each kind says and understands, `consumer` keeps the registry
in step; `template` renders what configurations bring as Jinja.
"""
