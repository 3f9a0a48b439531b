// SPDX-License-Identifier: GPL-2.0
/*
 * Query iommufd about a device. The device is bound to a private iommufd and
 * never attached. To get their errnos, allocate the objects of a VMM; closing
 * the files frees them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include "device.h"

/* Newer than the header of this kernel */
#ifndef IOMMU_HW_QUEUE_ALLOC
#define IOMMU_HW_QUEUE_ALLOC	_IO(IOMMUFD_TYPE, 0x94)
#endif

#define CALL(call)	{ #call, call, UNKNOWN }

static int cmd(int fd, unsigned long req, void *arg)
{
	return ioctl(fd, req, arg) < 0 ? -errno : 0;
}

/* Size 0 is too short for any struct: EINVAL if the ioctl exists */
static enum known has_call(int fd, unsigned int req)
{
	__u32 size = 0;
	int ret = cmd(fd, req, &size);

	if (ret == -EINVAL)
		return YES;
	return ret == -ENOTTY ? NO : UNKNOWN;
}

static int open_iommufd(void)
{
	int fd = open("/dev/iommu", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void ask_kernel(struct kernel *kernel)
{
	static const struct call calls[NUM_CALLS] = {
		CALL(IOMMU_GET_HW_INFO),
		CALL(IOMMU_HWPT_SET_DIRTY_TRACKING),
		CALL(IOMMU_HWPT_INVALIDATE),
		CALL(IOMMU_FAULT_QUEUE_ALLOC),
		CALL(IOMMU_IOAS_MAP_FILE),
		CALL(IOMMU_VIOMMU_ALLOC),
		CALL(IOMMU_VDEVICE_ALLOC),
		CALL(IOMMU_VEVENTQ_ALLOC),
		CALL(IOMMU_HW_QUEUE_ALLOC),
	};
	struct utsname uts;
	int fd, i;

	memset(kernel, 0, sizeof(*kernel));
	if (!uname(&uts))
		snprintf(kernel->release, sizeof(kernel->release), "%s",
			 uts.release);
	memcpy(kernel->calls, calls, sizeof(calls));
	fd = open_iommufd();
	kernel->err = fd < 0 ? fd : 0;
	for (i = 0; i < NUM_CALLS; i++)
		kernel->calls[i].there =
			fd < 0 ? UNKNOWN : has_call(fd, calls[i].cmd);
	if (fd >= 0)
		close(fd);
}

enum known kernel_has(const struct kernel *kernel, unsigned int req)
{
	int i;

	for (i = 0; i < NUM_CALLS; i++)
		if (kernel->calls[i].cmd == req)
			return kernel->calls[i].there;
	return UNKNOWN;
}

bool is_smmu(const struct device *dev)
{
	return dev->asked && !dev->info_err &&
	       dev->info.out_data_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
}

static void get_hw_info(int fd, __u32 dev_id, struct device *dev)
{
	struct iommu_hw_info *info = &dev->info;
	__u8 data[256];

	*info = (struct iommu_hw_info){
		.size = sizeof(*info),
		.dev_id = dev_id,
		.data_len = sizeof(data),
		.data_uptr = (__u64)(unsigned long)data,
	};
	dev->info_err = cmd(fd, IOMMU_GET_HW_INFO, info);
	if (dev->info_err)
		return;
	/* The kernel zeroes bytes beyond its struct */
	if (is_smmu(dev))
		memcpy(&dev->smmu, data, sizeof(dev->smmu));
}

static int hwpt_alloc(int fd, __u32 dev_id, __u32 pt_id, __u32 flags,
		      __u32 data_type, const void *data, __u32 data_len,
		      __u32 *hwpt_id)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = flags,
		.dev_id = dev_id,
		.pt_id = pt_id,
		.data_type = data_type,
		.data_len = data_len,
		.data_uptr = (__u64)(unsigned long)data,
	};
	int ret = cmd(fd, IOMMU_HWPT_ALLOC, &alloc);

	*hwpt_id = ret ? 0 : alloc.out_hwpt_id;
	return ret;
}

/* Get the aperture from the IOAS, which needs no attach */
static void measure(int fd, __u32 ioas_id, struct table *table)
{
	struct iommu_iova_range ranges[64];
	struct iommu_ioas_iova_ranges cmd_ranges = {
		.size = sizeof(cmd_ranges),
		.ioas_id = ioas_id,
		.num_iovas = 64,
		.allowed_iovas = (__u64)(unsigned long)ranges,
	};
	__u64 last = 0;
	unsigned int i;

	if (cmd(fd, IOMMU_IOAS_IOVA_RANGES, &cmd_ranges))
		return;
	for (i = 0; i < cmd_ranges.num_iovas; i++)
		if (ranges[i].last > last)
			last = ranges[i].last;
	for (; last; last >>= 1)
		table->input_bits++;
	table->page_size = cmd_ranges.out_iova_alignment;
}

/* Allocate a page table on a new IOAS; its id goes to @hwpt_id */
static int try_table(int fd, __u32 dev_id, struct device *dev,
		     struct table table, __u32 *hwpt_id)
{
	struct iommu_hwpt_arm_smmuv3_pgtable shape = {
		.stage = table.stage,
		.granule_shift = table.granule_shift,
	};
	bool has_data = table.data_type != IOMMU_HWPT_DATA_NONE;
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	int ret;

	ret = cmd(fd, IOMMU_IOAS_ALLOC, &ioas);
	if (ret)
		return ret;
	ret = hwpt_alloc(fd, dev_id, ioas.out_ioas_id, table.flags,
			 table.data_type, has_data ? &shape : NULL,
			 has_data ? sizeof(shape) : 0, hwpt_id);
	if (ret || dev->num_tables == MAX_TABLES)
		return ret;
	measure(fd, ioas.out_ioas_id, &table);
	dev->tables[dev->num_tables++] = table;
	return 0;
}

static void try_tables(int fd, __u32 dev_id, struct device *dev,
		       __u32 *parent_id)
{
	unsigned int stage, shift;
	__u32 hwpt_id;
	int ret;

	dev->plain_err = try_table(fd, dev_id, dev, (struct table){}, &hwpt_id);
	try_table(fd, dev_id, dev, (struct table){
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
	}, &hwpt_id);
	dev->parent_err = try_table(fd, dev_id, dev, (struct table){
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
	}, parent_id);

	/* Only an SMMUv3 supports these parameters */
	dev->shapes_err = -EOPNOTSUPP;
	if (!is_smmu(dev))
		return;
	for (stage = 1; stage <= 2; stage++)
		for (shift = 12; shift <= 16; shift += 2) {
			ret = try_table(fd, dev_id, dev, (struct table){
				.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3_PGTABLE,
				.stage = stage,
				.granule_shift = shift,
			}, &hwpt_id);
			/* EOPNOTSUPP may be for this geometry only */
			if (ret != -EOPNOTSUPP)
				dev->shapes_err = ret;
		}
}

static void try_viommu(int fd, __u32 dev_id, struct device *dev,
		       __u32 parent_id)
{
	/* V=1, Config=0: abort, which uses no address */
	const struct iommu_hwpt_arm_smmuv3 ste = { .ste = { 1, 0 } };
	/* CMD_TLBI_NH_ALL: harmless with no device attached */
	const struct iommu_viommu_arm_smmuv3_invalidate tlbi = {
		.cmd = { 0x10, 0 },
	};
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = dev_id,
		.hwpt_id = parent_id,
	};
	struct iommu_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.data_uptr = (__u64)(unsigned long)&tlbi,
		.entry_len = sizeof(tlbi),
		.entry_num = 1,
	};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice),
		.dev_id = dev_id,
	};
	struct iommu_veventq_alloc veventq = {
		.size = sizeof(veventq),
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = 1,
	};
	__u32 hwpt_id;

	dev->viommu_err = cmd(fd, IOMMU_VIOMMU_ALLOC, &viommu);
	if (dev->viommu_err)
		return;

	dev->nested_err = hwpt_alloc(fd, dev_id, viommu.out_viommu_id, 0,
				     IOMMU_HWPT_DATA_ARM_SMMUV3, &ste,
				     sizeof(ste), &hwpt_id);
	inv.hwpt_id = viommu.out_viommu_id;
	/* Send a command, since some kernels refuse any type without one */
	dev->invalidate_err = cmd(fd, IOMMU_HWPT_INVALIDATE, &inv);
	vdevice.viommu_id = viommu.out_viommu_id;
	dev->vdevice_err = cmd(fd, IOMMU_VDEVICE_ALLOC, &vdevice);
	veventq.viommu_id = viommu.out_viommu_id;
	dev->veventq_err = cmd(fd, IOMMU_VEVENTQ_ALLOC, &veventq);
	if (!dev->veventq_err)
		close(veventq.out_veventq_fd);
}

static void ask_iommufd(int fd, __u32 dev_id, struct device *dev)
{
	__u32 parent_id;

	dev->asked = true;
	get_hw_info(fd, dev_id, dev);
	try_tables(fd, dev_id, dev, &parent_id);
	/* -ENOENT stands for no attempt */
	dev->viommu_err = -ENOENT;
	dev->nested_err = -ENOENT;
	dev->invalidate_err = -ENOENT;
	dev->vdevice_err = -ENOENT;
	dev->veventq_err = -ENOENT;
	if (!dev->parent_err && is_smmu(dev))
		try_viommu(fd, dev_id, dev, parent_id);
}

static const char *why_not_bound(int err)
{
	switch (err) {
	case -EBUSY:
		return "in use: its vfio group is open, or a device of its group has another owner";
	case -EINVAL:
		return "in use by another program, or its DMA is not coherent with the CPU caches";
	case -EPERM:
		return "not permitted: another owner has its group, or its MSIs are not isolated";
	case -ENOTTY:
		return "this kernel's vfio can't bind a device to an iommufd";
	default:
		return strerror(-err);
	}
}

void ask_device(const struct kernel *kernel, struct device *dev)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	char path[PATH_MAX];
	int fd, cdev, ret;

	if (!*dev->vfio) {
		snprintf(dev->unasked, sizeof(dev->unasked),
			 *dev->driver ? "its driver is %s, not one of vfio" :
					"it has no driver: bind it to vfio-pci",
			 dev->driver);
		return;
	}
	if (kernel->err) {
		snprintf(dev->unasked, sizeof(dev->unasked), "/dev/iommu: %s",
			 strerror(-kernel->err));
		return;
	}

	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", dev->vfio);
	cdev = open(path, O_RDONLY | O_CLOEXEC);
	if (cdev < 0) {
		snprintf(dev->unasked, sizeof(dev->unasked), "%.60s: %s", path,
			 strerror(errno));
		return;
	}
	/* Closing both files destroys all objects */
	fd = open_iommufd();
	bind.iommufd = fd;
	ret = fd < 0 ? fd : cmd(cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	if (ret)
		snprintf(dev->unasked, sizeof(dev->unasked), "%s",
			 why_not_bound(ret));
	else
		ask_iommufd(fd, bind.out_devid, dev);
	close(cdev);
	if (fd >= 0)
		close(fd);
}
