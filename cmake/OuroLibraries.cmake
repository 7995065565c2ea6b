# SPDX-License-Identifier: MIT
# One set of objects, three libraries:
#   ouro           libouro.a: ouro_* and no other name, as if the rest had been static
#   ouro_shared    libouro.so: the same
#   ouro_internal  never installed, with every name in sight: for tests and benchmarks of the inside
# All are used with ouro_headers, the public headers.
add_library(ouro_headers INTERFACE)
target_include_directories(ouro_headers INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/include)

# Compiled once, hence position independent.
add_library(ouro_objects OBJECT ${library_sources})
target_link_libraries(ouro_objects PRIVATE ouro_private)
target_compile_definitions(ouro_objects PRIVATE OURO_BUILDING=1)
target_compile_options(ouro_objects PRIVATE ${OURO_LIBRARY_FLAGS} ${OURO_LTO_FLAGS})
set_target_properties(ouro_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)

# A liburing of our own goes into the object, out of the way of another one in the same program.
set(whole_parts $<TARGET_OBJECTS:ouro_objects>)
set(whole_needs)
if(OURO_LIBURING_BUNDLED)
    list(APPEND whole_parts ${liburing_own}/lib/liburing.a)
else()
    set(whole_needs ouro_liburing)
endif()
list(APPEND whole_needs ouro_hwloc ouro_numa Threads::Threads)

# All objects linked into one; then what is not ours to show becomes local to it.
set(whole ${CMAKE_CURRENT_BINARY_DIR}/ouro_whole.o)
set(public ${CMAKE_CURRENT_BINARY_DIR}/ouro.o)
add_custom_command(OUTPUT ${whole}
    COMMAND ${CMAKE_C_COMPILER} -r -nostdlib ${OURO_LTO_PARTIAL_LINK} -o ${whole} ${whole_parts}
    DEPENDS ouro_objects ${whole_parts}
    COMMAND_EXPAND_LISTS VERBATIM COMMENT "Linking the library's objects into one")
add_custom_command(OUTPUT ${public}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden --wildcard --keep-global-symbol=ouro_*
            ${whole} ${public}
    DEPENDS ${whole} VERBATIM COMMENT "Hiding the library's inside")
add_custom_target(ouro_object_whole DEPENDS ${whole})
add_custom_target(ouro_object_public DEPENDS ${public})
add_dependencies(ouro_object_public ouro_object_whole)
set_source_files_properties(${whole} ${public} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)

add_library(ouro STATIC ${public})
add_dependencies(ouro ouro_object_public)

if(OURO_LTO)
    add_library(ouro_internal STATIC ${whole}) # optimised as what is installed
    add_dependencies(ouro_internal ouro_object_whole)
else()
    add_library(ouro_internal STATIC $<TARGET_OBJECTS:ouro_objects>)
endif()
target_link_libraries(ouro_internal PUBLIC ouro_headers ouro_private)

add_library(ouro_shared SHARED)
target_link_libraries(ouro_shared PRIVATE ouro_objects ${OURO_LINK_LIBRARIES})
# A liburing linked in statically is ours alone: nothing of it shows.
target_link_options(ouro_shared PRIVATE -Wl,--exclude-libs,ALL ${OURO_LTO_FLAGS} ${OURO_LTO_LINK_FLAGS})

# Before 1.0 every minor version has an ABI of its own: docs/COMPATIBILITY.md.
set(OURO_ABI_VERSION ${PROJECT_VERSION_MAJOR})
if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(OURO_ABI_VERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endif()
set_target_properties(ouro_shared PROPERTIES OUTPUT_NAME ouro EXPORT_NAME shared
    VERSION ${PROJECT_VERSION} SOVERSION ${OURO_ABI_VERSION})

foreach(library ouro ouro_shared)
    target_include_directories(${library} INTERFACE
        $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
foreach(library ouro ouro_internal ouro_shared)
    set_target_properties(${library} PROPERTIES
        LINKER_LANGUAGE C
        ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/lib
        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/lib)
endforeach()
# Linked, but their headers stay out of sight of the library's users. Installed, they go by name.
foreach(library ${whole_needs})
    string(REGEX REPLACE "^ouro_(lib)?" "" name ${library})
    target_link_libraries(ouro INTERFACE
        $<BUILD_INTERFACE:$<LINK_ONLY:${library}>> $<INSTALL_INTERFACE:$<LINK_ONLY:${name}>>)
endforeach()

add_library(ouro::ouro ALIAS ouro)
add_library(ouro::shared ALIAS ouro_shared)
