# leat::jemalloc: Debian's libjemalloc, kept by the linker although the runtime refers to it weakly only.
#
# Used by the build and, installed, by leatConfig.cmake. Not under a sanitizer, which brings its own allocator.
if(LEAT_SANITIZE AND LEAT_JEMALLOC)
    message(STATUS "leat: no jemalloc under ${LEAT_SANITIZE} sanitizer")
    set(LEAT_JEMALLOC OFF)
endif()

if(LEAT_JEMALLOC AND NOT TARGET leat::jemalloc)
    find_library(LEAT_JEMALLOC_LIBRARY NAMES jemalloc DOC "jemalloc (Debian: libjemalloc-dev)")
    mark_as_advanced(LEAT_JEMALLOC_LIBRARY)
    if(NOT LEAT_JEMALLOC_LIBRARY)
        message(FATAL_ERROR "leat: libjemalloc not found (Debian: libjemalloc-dev); -DLEAT_JEMALLOC=OFF builds without it")
    endif()
    add_library(leat::jemalloc INTERFACE IMPORTED)
    set_target_properties(leat::jemalloc PROPERTIES INTERFACE_LINK_LIBRARIES
        "-Wl,--push-state,--no-as-needed,--undefined=mallocx,${LEAT_JEMALLOC_LIBRARY},--pop-state")
endif()
