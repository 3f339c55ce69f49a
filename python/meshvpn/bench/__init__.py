"""The benchmark: this project's tunnels against others, on one machine, in interleaved rounds.

    metrics     what is measured              contenders/  who takes part, and how each is set up
    topology    where: two hosts, one wire    workloads    what each has to carry
    iperf, ping the instruments               handshakes   the same for WireGuard's handshakes
    workload    what a workload is            rounds       the run: who, when, how often
    report      what a run leaves behind      paired       medians, paired ratios, intervals
    claims      what we promise, judged       tables, plot for people
    aead        the ciphers by themselves     processes    programs, their CPU time and memory

From the command line it is ``meshvpn bench``. From Python:

    plan = Plan(choose(["plain", "openvpn"]), rounds=3)
    benchmark = Benchmark(plan, observer)
    benchmark.run()
    benchmark.report().spread("plain", TCP_ONE)
"""

from __future__ import annotations
