"""
The part of alertd that only computes: no I/O, no asyncio, no clock, no logging.

Its input are bytes and times, its output are alerts; the daemon, ``replay`` and whatever engine
comes later are three drivers of the same code.
"""
