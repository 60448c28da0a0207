# cmake --install: headers, libraries, find_package(leat) and pkg-config files.
if(NOT LEAT_INSTALL)
    return()
endif()
include(CMakePackageConfigHelpers)

set(leat_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/leat")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/leat" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
foreach(kind IN LISTS leat_kinds)
    install(TARGETS leat_core_${kind} leat_${kind} EXPORT leatTargets
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endforeach()
install(EXPORT leatTargets NAMESPACE leat:: DESTINATION "${leat_config_dir}")

list(JOIN leat_kinds ", " LEAT_KINDS) # for the message that names an unknown component
configure_package_config_file("${PROJECT_SOURCE_DIR}/tools/cmake/leatConfig.cmake.in" "${PROJECT_BINARY_DIR}/leatConfig.cmake"
    INSTALL_DESTINATION "${leat_config_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/leatConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/leatConfig.cmake"
    "${PROJECT_BINARY_DIR}/leatConfigVersion.cmake"
    "${PROJECT_SOURCE_DIR}/tools/cmake/LeatJemalloc.cmake"
    DESTINATION "${leat_config_dir}")

if(LEAT_JEMALLOC)
    set(leat_pc_requires "leat-core, jemalloc")
    # kept by the linker although the runtime refers to it weakly; the undefined name fetches it from a static library too
    set(leat_pc_libs "-Wl,--push-state,--no-as-needed,--undefined=mallocx,-ljemalloc,--pop-state")
    set(leat_pc_private "-lm") # jemalloc's, which its own file leaves out
else()
    set(leat_pc_requires "leat-core")
    set(leat_pc_libs "")
    set(leat_pc_private "")
endif()

# The files find their prefix by their own place, so that an installed tree may be moved
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "/prefix" OUTPUT_VARIABLE leat_pc_dir)
file(RELATIVE_PATH LEAT_PC_UP "${leat_pc_dir}/pkgconfig" "/prefix")
string(REGEX REPLACE "/$" "" LEAT_PC_UP "${LEAT_PC_UP}")
set(LEAT_PC_PREFIX "\${pcfiledir}/${LEAT_PC_UP}")
set(LEAT_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
set(LEAT_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(LEAT_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
    set(LEAT_PC_LIBDIR "${CMAKE_INSTALL_FULL_LIBDIR}")
    set(LEAT_PC_INCLUDEDIR "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
endif()
foreach(pc leat leat-core leat-blocks)
    configure_file("${PROJECT_SOURCE_DIR}/tools/cmake/${pc}.pc.in" "${PROJECT_BINARY_DIR}/${pc}.pc" @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/${pc}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endforeach()
