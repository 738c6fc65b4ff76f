# What happens at the limits: memory, descriptors, disk, a disk that hangs; and the invariant over random lives.
if(NOT TG_TESTS)
  return()
endif()
if(NOT TARGET tg_proof)
add_library(tg_proof STATIC support/proof.c)
target_include_directories(tg_proof PUBLIC "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(tg_proof PRIVATE tg_flags)
endif()

tg_test(test_store_lives SOURCES crash/test_store_lives.c crash/lives_model.c LINK tg_store_help tg_proof LABELS crash)
