# Message bodies: json, senml, senml-cbor, template; compression.
tg_test(test_format SOURCES unit/test_format.c support/senml_pack.c
  LINK tg_cloud PkgConfig::JANSSON PkgConfig::CBOR m LABELS unit)
tg_test(vector_senml SOURCES unit/vector_senml.c support/senml_pack.c support/vectors.c
  LINK tg_cloud PkgConfig::JANSSON PkgConfig::CBOR m LABELS vector)
tg_fuzz(fuzz_format_body SOURCES fuzz/fuzz_format_body.c support/senml_pack.c
  LINK tg_cloud PkgConfig::JANSSON PkgConfig::CBOR m SEEDS format_body)

add_executable(bench_format bench/bench_format.c)
target_link_libraries(bench_format PRIVATE tg_cloud tg_flags)
