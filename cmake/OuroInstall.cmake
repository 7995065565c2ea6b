# SPDX-License-Identifier: MIT
install(TARGETS ouro ouro_shared
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# Linking libouro.a statically needs the liburing that it was built with.
if(OURO_LIBURING_BUNDLED)
    install(FILES ${liburing_own}/lib/liburing.a
        DESTINATION ${CMAKE_INSTALL_LIBDIR} RENAME libouro_uring.a)
    set(OURO_PC_LIBURING -louro_uring)
else()
    set(OURO_PC_LIBURING -luring)
endif()
# Relative, so that the installed tree may be moved, or installed to another prefix.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
    BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE OURO_PC_TO_PREFIX)
configure_file(cmake/ouro.pc.in ouro.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ouro.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
