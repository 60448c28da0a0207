/*
 * base/cgroup.h - the CPU bandwidth that the cgroups around us leave us.
 */
#ifndef LEA_BASE_CGROUP_H
#define LEA_BASE_CGROUP_H

/*
 * The tightest CPU quota among our own cgroup and all its visible ancestors, version 1 and version
 * 2, in whole CPUs, rounded up; 0 when there is none. What cannot be read or understood is no
 * limit. @root is put before every path ("" for the real system). Plain thread only: takes 40 KiB
 * of its stack.
 */
unsigned lea_cgroup_cpus(const char *root);

#endif
