# Everything at once, for half a minute; `./dev prove soak` runs it for an hour and more.
tg_scenario(scenario_soak ../prove/soak.py TIMEOUT 600)
