-- What jobs turned out to need.
SELECT type, size_class, runs, run_s, need_mib FROM footprint
