"""The whole system in one process and in virtual time, with faults at every border.

Real are the engine, the commit lanes, the use cases, the lease service and the workers' sessions. Simulated
are the database (`tables`), the network (`streams`), the processes that live and die (`scheduler`, `worker`,
`client`), and time (`loop`). A seed decides everything that chance decides.
"""
