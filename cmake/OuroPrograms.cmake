# SPDX-License-Identifier: MIT

# ouro_glob(<variable> <pattern>...): files below the current directory, in a stable order;
# a new or removed file is noticed at the next build.
function(ouro_glob variable)
    list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE patterns)
    file(GLOB files CONFIGURE_DEPENDS ${patterns})
    list(SORT files)
    set(${variable} ${files} PARENT_SCOPE)
endfunction()

# ouro_program(<name> SOURCES <file>... [LIBRARIES <library>...] [INCLUDES <directory>...])
# A program in bin/, on the public headers; on the inside too with ouro_internal among LIBRARIES, on
# the shared library with ouro_shared.
function(ouro_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES;INCLUDES")
    if(NOT "ouro_internal" IN_LIST arg_LIBRARIES AND NOT "ouro_shared" IN_LIST arg_LIBRARIES)
        list(APPEND arg_LIBRARIES ouro)
    endif()
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE ${arg_LIBRARIES})
    target_include_directories(${name} PRIVATE ${arg_INCLUDES})
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()
