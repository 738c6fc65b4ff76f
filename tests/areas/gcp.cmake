# Google's IoT Core protocol, as ClearBlade serves it.
set(gcp_stage support/gcp_stage.c support/vectors.c)
foreach(name iot_core gateway)
  tg_test(test_gcp_${name} SOURCES unit/test_gcp_${name}.c ${gcp_stage} LINK tg_test_parts LABELS unit)
endforeach()
tg_test(vector_gcp_iot_core SOURCES unit/test_vector_gcp_iot_core.c ${gcp_stage} LINK tg_test_parts LABELS vector)
