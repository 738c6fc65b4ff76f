# The AT protocol: pure (no I/O, clock, allocation or logging); tests/lint checks that.
tg_library(tg_at SOURCES at_lines.c at_baud.c at_finals.c at_chat.c at_chat_sync.c at_script.c LINK tg_base)
# What a cellular modem is asked and what it says: pure as well.
tg_library(tg_cellular SOURCES cellular.c cellular_state.c cellular_lines.c LINK tg_at tg_base)
