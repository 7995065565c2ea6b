# SPDX-License-Identifier: MIT
# What is installed finds itself by where it stands: the tree may be moved, or installed to another
# prefix than it was configured for, and names nothing of the build.
include(CMakePackageConfigHelpers)

set(cmake_directory ${CMAKE_INSTALL_LIBDIR}/cmake/ouro)
install(TARGETS ouro ouro_shared EXPORT ouro
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT ouro NAMESPACE ouro:: DESTINATION ${cmake_directory} FILE ouroTargets.cmake)

# What a program that links libouro.a needs besides.
set(static_needs -lhwloc -lnuma -pthread)
if(NOT OURO_LIBURING_BUNDLED)
    list(PREPEND static_needs -luring)
endif()

# The rule of docs/COMPATIBILITY.md.
if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(compatibility SameMinorVersion)
else()
    set(compatibility SameMajorVersion)
endif()
configure_package_config_file(cmake/ouroConfig.cmake.in ouroConfig.cmake
    INSTALL_DESTINATION ${cmake_directory} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(ouroConfigVersion.cmake COMPATIBILITY ${compatibility})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ouroConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/ouroConfigVersion.cmake DESTINATION ${cmake_directory})

# pkg-config ouro: the shared library; ouro-static: the archive, the rest still shared.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
    BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE OURO_PC_TO_PREFIX)
list(JOIN static_needs " " static_needs)
function(ouro_pc name what libs private)
    configure_file(cmake/ouro.pc.in ${name}.pc @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
ouro_pc(ouro "" "-L\${libdir} -louro" "${static_needs}")
ouro_pc(ouro-static ", linked statically" "\${libdir}/libouro.a ${static_needs}" "")

# What a container needs to run it.
install(FILES share/seccomp.json DESTINATION ${CMAKE_INSTALL_DATADIR}/ouro)
