"""The demonstration: two hosts, WireGuard between them, and real programs through it.

It is played once, in some twenty seconds, for whoever watches:

====================  ==========================================================================
module                what is in it
====================  ==========================================================================
:mod:`~.play`         the course of it: one scene after the other, and the end of everything
:mod:`~.scenes`       the scenes: build, connect, ping, ssh, iperf3, eavesdrop
:mod:`~.stage`        the two hosts, the cable, the two WireGuard devices
:mod:`~.sshd`         an SSH server for one minute
:mod:`~.datagram`     what a spy can make of a datagram
:mod:`~.watchers`     threads that look on: packets inside, datagrams on the cable, throughput
:mod:`~.audience`     what a view is told
:mod:`~.live`         the view in a terminal
:mod:`~.lines`        the view in a pipe
====================  ==========================================================================

Nothing is staged: what a scene reports it has read from the program that it ran, and a scene whose
outcome is not as it should be fails, and the demonstration with it.
"""

from meshvpn.demo.play import play

__all__ = ["play"]
