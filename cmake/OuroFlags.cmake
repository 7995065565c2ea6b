# SPDX-License-Identifier: MIT
# Languages, warnings and code generation, for everything that is compiled here.
include(CheckCCompilerFlag)
include(CheckIncludeFile)

set(CMAKE_C_STANDARD 17)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
add_compile_definitions(_GNU_SOURCE=1) # Linux only: its calls, and what POSIX has, without a line in each file
set(CMAKE_CXX_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)

# No NDEBUG anywhere: the code has its own levels of assertions.
foreach(language C CXX ASM)
    set(CMAKE_${language}_FLAGS_RELEASE "-O2 -g")
    set(CMAKE_${language}_FLAGS_RELWITHDEBINFO "-O2 -g")
    set(CMAKE_${language}_FLAGS_DEBUG "-O0 -g")
endforeach()

set(warnings -Wall -Wextra -Wpointer-arith -Wvla -Wwrite-strings -Wundef -Wformat=2)
# No -Wshadow in C++: a function may have its struct's name, as in struct stat.
add_compile_options(
    "$<$<COMPILE_LANGUAGE:C,CXX>:${warnings}>"
    "$<$<COMPILE_LANGUAGE:C>:-Wshadow;-Wstrict-prototypes;-Wmissing-prototypes>"
    "$<$<COMPILE_LANGUAGE:ASM>:-Wa,--noexecstack>")
if(OURO_WERROR)
    add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-Werror>)
endif()

# Frames may not jump over the guard below a fiber's stack.
check_c_compiler_flag(-fstack-clash-protection OURO_HAS_STACK_CLASH)
if(OURO_HAS_STACK_CLASH)
    add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-fstack-clash-protection>)
endif()

# The current shard is a thread-local looked at everywhere: one load, not a call, even in the
# shared library. Unwinders need tables of C functions too: exceptions meet them. Sections of
# their own let a static program leave out what it does not use.
set(OURO_LIBRARY_FLAGS
    "$<$<COMPILE_LANGUAGE:C>:-ftls-model=initial-exec;-fno-semantic-interposition>"
    "$<$<COMPILE_LANGUAGE:C>:-fasynchronous-unwind-tables;-ffunction-sections;-fdata-sections>")

# Only the library is optimised as a whole: its archive holds machine code, for every compiler.
set(OURO_LTO_FLAGS)
set(OURO_LTO_LINK_FLAGS)
set(OURO_LTO_PARTIAL_LINK)
if(OURO_LTO)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        set(OURO_LTO_FLAGS -flto=auto -fno-fat-lto-objects)
        set(OURO_LTO_PARTIAL_LINK -flto=auto -flinker-output=nolto-rel)
    else()
        set(OURO_LTO_FLAGS -flto=full)
        set(OURO_LTO_LINK_FLAGS -fuse-ld=lld)
        set(OURO_LTO_PARTIAL_LINK -flto=full -fuse-ld=lld)
    endif()
    list(APPEND OURO_LTO_PARTIAL_LINK -O2 -g -fPIC -ffunction-sections -fdata-sections)
endif()

# Its requests are a few instructions each where it does not look on: not in every build.
if(OURO_VALGRIND)
    check_include_file(valgrind/memcheck.h OURO_HAS_VALGRIND)
    if(NOT OURO_HAS_VALGRIND OR NOT OURO_SANITIZE STREQUAL "none")
        message(FATAL_ERROR "OURO_VALGRIND needs valgrind's headers, and no sanitizer beside it")
    endif()
    add_compile_definitions(OURO_VALGRIND=1)
endif()

if(OURO_CHECKED)
    add_compile_definitions(OURO_CHECKED=1)
else()
    add_compile_definitions(OURO_CHECKED=0)
endif()

if(OURO_SANITIZE STREQUAL "address")
    set(sanitizer -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(OURO_SANITIZE STREQUAL "thread")
    set(sanitizer -fsanitize=thread)
elseif(OURO_SANITIZE STREQUAL "none")
    set(sanitizer)
    add_link_options(-Wl,-z,defs -Wl,--gc-sections)
else()
    message(FATAL_ERROR "OURO_SANITIZE is \"${OURO_SANITIZE}\": none, address or thread, please")
endif()
if(sanitizer)
    add_compile_options(
        "$<$<COMPILE_LANGUAGE:C,CXX>:${sanitizer};-fno-omit-frame-pointer>")
    add_link_options(${sanitizer})
endif()
if(OURO_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "OURO_FUZZ needs clang: -DCMAKE_C_COMPILER=clang")
    endif()
    add_compile_options($<$<COMPILE_LANGUAGE:C>:-fsanitize=fuzzer-no-link>)
endif()
