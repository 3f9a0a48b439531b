/* SPDX-License-Identifier: GPL-2.0 */
/* A memory cgroup for a test. All functions return -errno on failure. */
#ifndef SELFTEST_IOMMU_LIB_CGROUP_H
#define SELFTEST_IOMMU_LIB_CGROUP_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define CGROUP		CGROUP_ROOT "/selftest_iommu"

/* Write a string to a file of sysfs or cgroupfs */
static inline int file_put(const char *path, const char *what)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, what, strlen(what)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Move this process, and with it its future children, into CGROUP */
static inline int cgroup_enter(void)
{
	int ret;

	if (access(CGROUP_ROOT "/cgroup.procs", F_OK) &&
	    mount("none", CGROUP_ROOT, "cgroup2", 0, NULL))
		return -errno;
	ret = file_put(CGROUP_ROOT "/cgroup.subtree_control", "+memory");
	if (ret)
		return ret;
	if (mkdir(CGROUP, 0700) && errno != EEXIST)
		return -errno;
	return file_put(CGROUP "/cgroup.procs", "0");
}

/* Move this process, the last one, out of the cgroup and remove the cgroup */
static inline int cgroup_leave(void)
{
	int ret = file_put(CGROUP_ROOT "/cgroup.procs", "0");

	if (ret)
		return ret;
	return rmdir(CGROUP) ? -errno : 0;
}

/*
 * Make the kernel add up its counters of the cgroup at the next read. It does
 * so once more than 64 pages per CPU have changed; each CPU may hold back up to
 * 63.
 */
static inline int cgroup_make_stale(void)
{
	size_t size = (128 * sysconf(_SC_NPROCESSORS_ONLN) + 1) *
		      sysconf(_SC_PAGESIZE);
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return -errno;
	memset(mem, 1, size);
	munmap(mem, size);
	return 0;
}

/**
 * cgroup_stat() - Read a figure of the cgroup's memory.stat
 * @name: the figure
 *
 * The caller is in the cgroup.
 *
 * Return: the figure, in bytes for most names; -ENOENT for an unknown name;
 * or -errno of mmap() or fopen()
 */
static inline long cgroup_stat(const char *name)
{
	size_t len = strlen(name);
	long ret = cgroup_make_stale();
	char line[100];
	FILE *file;

	if (ret)
		return ret;
	file = fopen(CGROUP "/memory.stat", "re");
	if (!file)
		return -errno;
	ret = -ENOENT;
	while (ret < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) && line[len] == ' ')
			ret = atol(line + len);
	fclose(file);
	return ret;
}

#endif
