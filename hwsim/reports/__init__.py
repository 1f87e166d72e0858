"""Reports: the results of runs and studies as pages, tables and figures."""
