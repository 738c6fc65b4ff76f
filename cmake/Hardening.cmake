# Warnings and hardening for every target of this project.
add_library(tg_flags INTERFACE)
target_compile_options(tg_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wformat=2 -Wimplicit-fallthrough -Wcast-align -Wvla
  -fno-common -fstack-protector-strong)
target_compile_definitions(tg_flags INTERFACE _GNU_SOURCE)
if(TG_WERROR)
  target_compile_options(tg_flags INTERFACE -Werror)
endif()
if(TG_SANITIZE)
  target_compile_options(tg_flags INTERFACE -fsanitize=${TG_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(tg_flags INTERFACE -fsanitize=${TG_SANITIZE})
else()
  target_compile_options(tg_flags INTERFACE $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=3>
    -fstack-clash-protection $<$<C_COMPILER_ID:GNU>:-ftrivial-auto-var-init=zero>) # clang 14 has it behind another flag
endif()
target_link_options(tg_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
