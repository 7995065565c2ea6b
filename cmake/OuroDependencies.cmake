# SPDX-License-Identifier: MIT
# liburing (the project's own in .deps/ first, where tools/setup had to build it), hwloc, libnuma.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

set(liburing_minimum 2.9)
set(liburing_own ${PROJECT_SOURCE_DIR}/.deps/liburing)
set(OURO_LIBURING_BUNDLED OFF)

if(EXISTS ${liburing_own}/lib/liburing.a)
    set(OURO_LIBURING_BUNDLED ON)
    add_library(ouro_liburing STATIC IMPORTED GLOBAL)
    set_target_properties(ouro_liburing PROPERTIES
        IMPORTED_LOCATION ${liburing_own}/lib/liburing.a
        INTERFACE_INCLUDE_DIRECTORIES ${liburing_own}/include)
else()
    pkg_check_modules(liburing QUIET IMPORTED_TARGET GLOBAL liburing>=${liburing_minimum})
    if(NOT liburing_FOUND)
        message(FATAL_ERROR "liburing ${liburing_minimum} or newer is needed: run tools/setup")
    endif()
    add_library(ouro_liburing ALIAS PkgConfig::liburing)
endif()

foreach(package hwloc numa)
    pkg_check_modules(${package} QUIET IMPORTED_TARGET GLOBAL ${package})
    if(${package}_FOUND)
        add_library(ouro_${package} ALIAS PkgConfig::${package})
        continue()
    endif()
    find_library(OURO_${package}_LIBRARY ${package})
    if(NOT OURO_${package}_LIBRARY)
        message(FATAL_ERROR "lib${package} is needed: run tools/setup")
    endif()
    add_library(ouro_${package} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(ouro_${package} PROPERTIES
        IMPORTED_LOCATION ${OURO_${package}_LIBRARY})
endforeach()

set(OURO_LINK_LIBRARIES ouro_liburing ouro_hwloc ouro_numa Threads::Threads)

# What the library's own files, and tests of its inside, see beyond the public headers.
add_library(ouro_private INTERFACE)
target_include_directories(ouro_private INTERFACE
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(ouro_private INTERFACE ${OURO_LINK_LIBRARIES})
