/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Groups and containers of vfio, the interface before iommufd. All functions
 * return 0 or -errno unless noted.
 */
#ifndef SELFTEST_IOMMU_LIB_VFIO_CONTAINER_H
#define SELFTEST_IOMMU_LIB_VFIO_CONTAINER_H

#include <stddef.h>
#include <linux/types.h>

#include "vfio.h"

/**
 * vfio_container_open() - Open a container
 * @path: /dev/vfio/vfio, or /dev/iommu for the container that iommufd emulates
 *
 * Return: the file descriptor, or -errno
 */
int vfio_container_open(const char *path);

/* Result of the ioctl: 0 or 1 for every extension */
int vfio_container_check_extension(int container, unsigned int extension);
int vfio_container_set_iommu(int container, unsigned int type);

/**
 * vfio_container_get_info() - VFIO_IOMMU_GET_INFO
 * @container: the container, its IOMMU set
 * @info: room for struct vfio_iommu_type1_info and the capabilities after it
 * @size: bytes at @info, which become argsz
 *
 * Return: 0 or -errno
 */
int vfio_container_get_info(int container, void *info, __u32 size);

/* @flags: VFIO_DMA_MAP_FLAG_* */
int vfio_container_map(int container, const void *va, __u64 size, __u64 iova,
		       __u32 flags);

/**
 * vfio_container_unmap() - VFIO_IOMMU_UNMAP_DMA
 * @container: the container, its IOMMU set
 * @iova: start of the range
 * @size: in: bytes, out: the size that the kernel writes, also on failure
 * @flags: VFIO_DMA_UNMAP_FLAG_*
 *
 * Return: 0 or -errno
 */
int vfio_container_unmap(int container, __u64 iova, __u64 *size, __u32 flags);

/**
 * vfio_group_open() - Open the group of a PCI function
 * @pci: the function, bound to vfio-pci
 *
 * Return: the file descriptor, or -errno
 */
int vfio_group_open(const struct vfio_pci *pci);
int vfio_group_set_container(int group, int container);
int vfio_group_unset_container(int group);

/* Open the function by its group instead of the cdev; sets @pci->fd */
int vfio_group_open_device(int group, struct vfio_pci *pci);

#endif
