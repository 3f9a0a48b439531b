/* SPDX-License-Identifier: GPL-2.0 */
/* What is known of a device: from sysfs, and from iommufd where that can be asked */
#ifndef IOMMUFD_INFO_DEVICE_H
#define IOMMUFD_INFO_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/iommufd.h>

#include "report.h"

/* Fields of the SMMU's ID registers */
#define IDR0_S2P		0x00000001
#define IDR0_S1P		0x00000002
#define IDR0_ATS		0x00000400
#define IDR0_PRI		0x00010000
#define IDR0_NO_STALLS		0x01000000
#define IDR3_FWB		0x00000100
#define IDR5_GRAN4K		0x00000010
#define IDR5_GRAN16K		0x00000020
#define IDR5_GRAN64K		0x00000040

/**
 * struct table - A page table of the kernel's that iommufd makes
 * @data_type: IOMMU_HWPT_DATA_*
 * @flags: IOMMU_HWPT_ALLOC_*
 * @stage: Stage of translation that was asked for, 0 if none was
 * @granule_shift: Granule that was asked for, 0 if none was
 * @input_bits: Size of the IOVA space in bits, 0 if it is not known
 * @page_size: Smallest page in bytes, 0 if it is not known
 */
struct table {
	__u32 data_type;
	__u32 flags;
	unsigned int stage;
	unsigned int granule_shift;
	unsigned int input_bits;
	unsigned long long page_size;
};

#define MAX_TABLES	16

/**
 * struct device - A device
 * @name: Its name on its bus
 * @driver: Name of its driver, or empty
 * @iommu: Name of its IOMMU, or empty if sysfs knows of none
 * @vfio: Name of its vfio device, or empty
 * @group: Number of its IOMMU group, or -1
 * @bridge: Name of a PCI bridge in its IOMMU group, or empty
 * @ats: Has the PCI function ATS?
 * @ats_on: Is it enabled now?
 * @pri: Has the PCI function a page request interface?
 * @pasid: Has the PCI function PASIDs?
 * @pasid_bits: How wide, if it has
 * @asked: iommufd has been asked; all that follows is only then set
 * @unasked: Why it has not
 * @info_err: 0 or -errno of IOMMU_GET_HW_INFO
 * @info: What it said
 * @smmu: The data, if is_smmu()
 * @tables: Page tables that can be had, @num_tables of them
 * @shapes_err: 0 or -errno of the parameters for them, the last that was tried
 * @plain_err: 0 or -errno of a page table that leaves all to the kernel
 * @parent_err: 0 or -errno of a nest parent
 * @viommu_err: 0 or -errno of a vIOMMU on that; the rest needs one. -ENOENT is
 *              what was not tried.
 * @nested_err: 0 or -errno of a nested HWPT on that, whose guest aborts all DMA
 * @invalidate_err: 0 or -errno of a request to invalidate
 * @vdevice_err: 0 or -errno of a vDEVICE
 * @veventq_err: 0 or -errno of an event queue
 */
struct device {
	char name[64];
	char driver[64];
	char iommu[64];
	char vfio[32];
	int group;
	char bridge[64];
	enum known ats, ats_on, pri, pasid;
	unsigned int pasid_bits;

	bool asked;
	char unasked[160];
	int info_err;
	struct iommu_hw_info info;
	struct iommu_hw_info_arm_smmuv3 smmu;
	struct table tables[MAX_TABLES];
	unsigned int num_tables;
	int shapes_err;
	int plain_err;
	int parent_err;
	int viommu_err;
	int nested_err;
	int invalidate_err;
	int vdevice_err;
	int veventq_err;
};

/* The ioctls that came after the first ones, in the order of their numbers */
#define NUM_CALLS	9

struct call {
	const char *name;
	unsigned int cmd;
	enum known there;
};

/**
 * struct kernel - What is known of the kernel
 * @release: As uname tells
 * @err: 0, or -errno of opening /dev/iommu
 * @calls: Which ioctls it has
 */
struct kernel {
	char release[80];
	int err;
	struct call calls[NUM_CALLS];
};

/* ask.c */
void ask_kernel(struct kernel *kernel);
enum known kernel_has(const struct kernel *kernel, unsigned int cmd);
void ask_device(const struct kernel *kernel, struct device *dev);

/* Has iommufd told the registers of an SMMUv3? */
bool is_smmu(const struct device *dev);

/* nesting.c */

/**
 * can_nest() - Can a guest get stage 1 of a device?
 * @kernel: The kernel
 * @dev: The device, after ask_device()
 * @why: Set to the reason, unless it can
 * @size: Size of that
 *
 * Return: UNKNOWN if that can't be told
 */
enum known can_nest(const struct kernel *kernel, const struct device *dev,
		    char *why, size_t size);

/* sysfs.c */
struct name {
	char s[64];
};

/**
 * sysfs_devices() - The devices of this machine that may have an IOMMU
 * @devs: Set to an array of their names for the caller to free, sorted
 *
 * Return: how many, or -errno
 */
int sysfs_devices(struct name **devs);

/* Return: 0, or -ENODEV */
int sysfs_device(const char *name, struct device *dev);

/* Is the administrator's word for CANWBS there? */
enum known sysfs_assume_canwbs(void);

/**
 * sysfs_config() - Look a symbol up in /boot/config-RELEASE or /proc/config.gz
 * @kernel: The kernel
 * @symbol: CONFIG_ and so on
 *
 * Return: YES if it is y or m, UNKNOWN without either file
 */
enum known sysfs_config(const struct kernel *kernel, const char *symbol);

#endif
