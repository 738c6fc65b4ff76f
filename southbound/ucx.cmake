# u-connectXpress modules: pure (no I/O, clock, allocation or logging); tests/areas/ucx.cmake checks that.
tg_library(tg_ucx SOURCES edm_frame.c ucx_link.c ucx_mqtt.c ucx_address.c ucx_carry.c ucx_provision.c ucx_provision_steps.c LINK tg_at tg_base)
