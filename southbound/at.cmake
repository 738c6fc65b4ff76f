# The AT protocol: pure (no I/O, clock, allocation or logging); tests/lint checks that.
tg_library(tg_at SOURCES at_lines.c at_finals.c at_chat.c at_chat_sync.c at_script.c LINK tg_base)
