# LEAT_ATOMIC_OPS_INCLUDE: the include directory for <atomic_ops.h>, empty when the compiler finds it by itself.
#
# Headers only: everything that the runtime uses of libatomic_ops is inline.
find_path(LEAT_ATOMIC_OPS_INCLUDE_DIR atomic_ops.h DOC "where <atomic_ops.h> is (Debian: libatomic-ops-dev)")
mark_as_advanced(LEAT_ATOMIC_OPS_INCLUDE_DIR)
if(NOT LEAT_ATOMIC_OPS_INCLUDE_DIR)
    message(FATAL_ERROR "leat: atomic_ops.h not found (Debian: libatomic-ops-dev)")
endif()

set(LEAT_ATOMIC_OPS_INCLUDE "")
if(CMAKE_CROSSCOMPILING AND LEAT_ATOMIC_OPS_INCLUDE_DIR STREQUAL "/usr/include")
    # One set of headers serves every architecture, but the host's include directory must not come along with it.
    set(LEAT_ATOMIC_OPS_INCLUDE "${PROJECT_BINARY_DIR}/atomic_ops_include")
    file(MAKE_DIRECTORY "${LEAT_ATOMIC_OPS_INCLUDE}")
    foreach(entry atomic_ops.h atomic_ops)
        file(CREATE_LINK "${LEAT_ATOMIC_OPS_INCLUDE_DIR}/${entry}" "${LEAT_ATOMIC_OPS_INCLUDE}/${entry}" SYMBOLIC)
    endforeach()
elseif(NOT LEAT_ATOMIC_OPS_INCLUDE_DIR STREQUAL "/usr/include")
    set(LEAT_ATOMIC_OPS_INCLUDE "${LEAT_ATOMIC_OPS_INCLUDE_DIR}")
endif()
