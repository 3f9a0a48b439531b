// SPDX-License-Identifier: GPL-2.0
/* PCI devices through the vfio cdev */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "iommufd.h"
#include "vfio.h"

#define SYSFS_PCI	"/sys/bus/pci/"

static int sysfs_write(const char *path, const char *val)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, val, strlen(val)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static unsigned long sysfs_read_hex(const char *bdf, const char *attr)
{
	char path[PATH_MAX], val[32] = "";
	int fd;

	snprintf(path, sizeof(path), SYSFS_PCI "devices/%s/%s", bdf, attr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ULONG_MAX;
	if (read(fd, val, sizeof(val) - 1) <= 0)
		val[0] = 0;
	close(fd);
	return strtoul(val, NULL, 16);
}

static int pci_attr_write(const char *bdf, const char *attr, const char *val)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), SYSFS_PCI "devices/%s/%s", bdf, attr);
	return sysfs_write(path, val);
}

static int pci_has_vfio(const char *bdf)
{
	char path[PATH_MAX], driver[PATH_MAX];
	const char *name;
	ssize_t len;

	snprintf(path, sizeof(path), SYSFS_PCI "devices/%s/driver", bdf);
	len = readlink(path, driver, sizeof(driver) - 1);
	if (len < 0)
		return 0;
	driver[len] = 0;
	name = strrchr(driver, '/');
	return name && !strcmp(name + 1, "vfio-pci");
}

int vfio_pci_find(struct vfio_pci *pci, unsigned int vendor,
		  unsigned int device, unsigned int index)
{
	struct dirent **list;
	int ret = -ENODEV;
	int i, n;

	memset(pci, 0, sizeof(*pci));
	pci->fd = -1;

	n = scandir(SYSFS_PCI "devices", &list, NULL, alphasort);
	if (n < 0)
		return -ENODEV;
	for (i = 0; i < n; i++) {
		const char *bdf = list[i]->d_name;

		if (ret && bdf[0] != '.' &&
		    sysfs_read_hex(bdf, "vendor") == vendor &&
		    sysfs_read_hex(bdf, "device") == device && !index--) {
			snprintf(pci->bdf, sizeof(pci->bdf), "%.15s", bdf);
			ret = 0;
		}
		free(list[i]);
	}
	free(list);
	return ret;
}

int vfio_pci_take(struct vfio_pci *pci)
{
	int ret;

	if (pci_has_vfio(pci->bdf))
		return 0;

	ret = pci_attr_write(pci->bdf, "driver_override", "vfio-pci");
	if (ret)
		return ret;
	/* Fails if the device has no driver */
	pci_attr_write(pci->bdf, "driver/unbind", pci->bdf);
	ret = sysfs_write(SYSFS_PCI "drivers_probe", pci->bdf);
	if (ret)
		return ret;
	return pci_has_vfio(pci->bdf) ? 0 : -ENODEV;
}

int vfio_pci_give_back(struct vfio_pci *pci)
{
	int ret = pci_attr_write(pci->bdf, "driver_override", "\n");

	if (ret)
		return ret;
	if (pci_has_vfio(pci->bdf)) {
		ret = pci_attr_write(pci->bdf, "driver/unbind", pci->bdf);
		if (ret)
			return ret;
	}
	return sysfs_write(SYSFS_PCI "drivers_probe", pci->bdf);
}

int vfio_pci_open(struct vfio_pci *pci)
{
	char path[PATH_MAX];
	struct dirent *d;
	int ret = -ENODEV;
	DIR *dir;

	snprintf(path, sizeof(path), SYSFS_PCI "devices/%s/vfio-dev", pci->bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		if (strncmp(d->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", d->d_name);
		pci->fd = open(path, O_RDWR | O_CLOEXEC);
		ret = pci->fd < 0 ? -errno : 0;
		break;
	}
	closedir(dir);
	return ret;
}

int vfio_pci_bind_iommufd(struct vfio_pci *pci, int iommufd)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.iommufd = iommufd,
	};
	int ret = iommufd_cmd(pci->fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (!ret)
		pci->dev_id = cmd.out_devid;
	return ret;
}

int vfio_pci_attach(struct vfio_pci *pci, __u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = pt_id,
	};

	return iommufd_cmd(pci->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

int vfio_pci_detach(struct vfio_pci *pci)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return iommufd_cmd(pci->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static int vfio_region(struct vfio_pci *pci, struct vfio_region_info *info,
		       __u32 index)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return iommufd_cmd(pci->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

int vfio_pci_map_bar0(struct vfio_pci *pci)
{
	struct vfio_region_info info;
	int ret;

	ret = vfio_region(pci, &info, VFIO_PCI_BAR0_REGION_INDEX);
	if (ret)
		return ret;
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return -EOPNOTSUPP;

	pci->bar0 = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 pci->fd, info.offset);
	if (pci->bar0 == MAP_FAILED) {
		pci->bar0 = NULL;
		return -errno;
	}
	pci->bar0_size = info.size;
	return 0;
}

int vfio_pci_set_master(struct vfio_pci *pci)
{
	struct vfio_region_info info;
	__u16 command;
	off_t at;
	int ret;

	ret = vfio_region(pci, &info, VFIO_PCI_CONFIG_REGION_INDEX);
	if (ret)
		return ret;
	at = info.offset + PCI_COMMAND;
	if (pread(pci->fd, &command, sizeof(command), at) != sizeof(command))
		return -EIO;
	/* Config space is little endian, as are both supported hosts */
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(pci->fd, &command, sizeof(command), at) != sizeof(command))
		return -EIO;
	return 0;
}

int vfio_pci_set_msi(struct vfio_pci *pci, int eventfd)
{
	struct {
		struct vfio_irq_set set;
		__s32 fd;
	} cmd = {
		.set = {
			.argsz = sizeof(cmd),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSI_IRQ_INDEX,
			.count = 1,
		},
		.fd = eventfd,
	};

	if (eventfd < 0) {
		cmd.set.argsz = sizeof(cmd.set);
		cmd.set.flags = VFIO_IRQ_SET_DATA_NONE |
				VFIO_IRQ_SET_ACTION_TRIGGER;
		cmd.set.count = 0;
	}
	return iommufd_cmd(pci->fd, VFIO_DEVICE_SET_IRQS, &cmd);
}

int vfio_pci_reset(struct vfio_pci *pci)
{
	return iommufd_cmd(pci->fd, VFIO_DEVICE_RESET, NULL);
}

void vfio_pci_close(struct vfio_pci *pci)
{
	if (pci->bar0)
		munmap(pci->bar0, pci->bar0_size);
	if (pci->fd >= 0)
		close(pci->fd);
	pci->bar0 = NULL;
	pci->fd = -1;
}
