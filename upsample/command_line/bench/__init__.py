"""``upsample bench``: time the operations on this machine beside the installed rivals.

`cases` has the calls, `rivals` and `pictures` those of other libraries, `devices` the clocks. `measure` checks results
(`difference`) and times calls in alternation (`rounds`), while `calm` watches for disturbances. `show` makes the table,
the JSON and the chart, and `command` runs all. It needs NumPy only; rich draws its bar, matplotlib its chart.
"""
