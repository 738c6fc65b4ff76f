# HTTP as a client speaks it.
include(Purity)
tg_test(test_http_client SOURCES unit/test_http_client.c LINK tg_http LABELS unit)
tg_test(test_retry_after SOURCES unit/test_retry_after.c LINK tg_http LABELS unit)
tg_fuzz(fuzz_http_response SOURCES fuzz/fuzz_http_response.c LINK tg_http SEEDS http_response)
tg_purity_test(lint_purity_http LIBRARY tg_http ALLOW "tg_write_(u8|bytes|str|u64_dec)")
