// SPDX-License-Identifier: GPL-2.0
/* Groups and containers of vfio */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "iommufd.h"
#include "vfio_container.h"

/* For the ioctls that take a number in place of a struct */
static int vfio_cmd_number(int fd, unsigned long req, unsigned long number)
{
	return iommufd_cmd(fd, req, (void *)number);
}

int vfio_container_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int vfio_container_check_extension(int container, unsigned int extension)
{
	return vfio_cmd_number(container, VFIO_CHECK_EXTENSION, extension);
}

int vfio_container_set_iommu(int container, unsigned int type)
{
	return vfio_cmd_number(container, VFIO_SET_IOMMU, type);
}

int vfio_container_get_info(int container, void *info, __u32 size)
{
	struct vfio_iommu_type1_info *cmd = info;

	memset(info, 0, size);
	cmd->argsz = size;
	return iommufd_cmd(container, VFIO_IOMMU_GET_INFO, cmd);
}

int vfio_container_map(int container, const void *va, __u64 size, __u64 iova,
		       __u32 flags)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return iommufd_cmd(container, VFIO_IOMMU_MAP_DMA, &cmd);
}

int vfio_container_unmap(int container, __u64 iova, __u64 *size, __u32 flags)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.iova = iova,
		.size = *size,
	};
	int ret = iommufd_cmd(container, VFIO_IOMMU_UNMAP_DMA, &cmd);

	*size = cmd.size;
	return ret;
}

int vfio_group_open(const struct vfio_pci *pci)
{
	char path[PATH_MAX], link[PATH_MAX];
	const char *number;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 pci->bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -errno;
	link[len] = 0;
	number = strrchr(link, '/');
	if (!number)
		return -ENODEV;
	snprintf(path, sizeof(path), "/dev/vfio/%.16s", number + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int vfio_group_set_container(int group, int container)
{
	return iommufd_cmd(group, VFIO_GROUP_SET_CONTAINER, &container);
}

int vfio_group_unset_container(int group)
{
	return iommufd_cmd(group, VFIO_GROUP_UNSET_CONTAINER, NULL);
}

int vfio_group_open_device(int group, struct vfio_pci *pci)
{
	int fd = iommufd_cmd(group, VFIO_GROUP_GET_DEVICE_FD, pci->bdf);

	if (fd < 0)
		return fd;
	pci->fd = fd;
	return 0;
}
