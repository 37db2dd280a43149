"""``upsample bench``: the operations measured on this machine, beside whatever rivals are installed.

The cases (`cases`), the other libraries' calls (`rivals`), where it runs and with which clock (`devices`), checking and
rounds (`measure`), threads that must sleep and others that must not work (`calm`), the table, the JSON and the chart
(`show`), the command (`command`). It needs nothing but NumPy; rich draws its bar, matplotlib its chart.
"""
