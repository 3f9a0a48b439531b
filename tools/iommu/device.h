/* SPDX-License-Identifier: GPL-2.0 */
/* Facts about a device, from sysfs and, if it can be opened, from iommufd */
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
 * struct table - A kernel-owned page table that iommufd can allocate
 * @data_type: IOMMU_HWPT_DATA_*
 * @flags: IOMMU_HWPT_ALLOC_*
 * @stage: Requested stage of translation, or 0
 * @granule_shift: Requested granule, or 0
 * @input_bits: Size of the IOVA space in bits, 0 if unknown
 * @page_size: Smallest page in bytes, 0 if unknown
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
 * @iommu: Name of its IOMMU in sysfs, or empty
 * @vfio: Name of its vfio device, or empty
 * @group: Number of its IOMMU group, or -1
 * @bridge: Name of a PCI bridge in its IOMMU group, or empty
 * @ats: The PCI function has ATS
 * @ats_on: ATS is enabled now
 * @pri: The PCI function has a page request interface
 * @pasid: The PCI function has PASIDs
 * @pasid_bits: Width of its PASIDs, if any
 * @asked: iommufd was queried; everything below is set only then
 * @unasked: Reason, if iommufd was not queried
 * @info_err: 0 or -errno of IOMMU_GET_HW_INFO
 * @info: Its result
 * @smmu: Its data, if is_smmu()
 * @tables: Page tables that can be allocated
 * @num_tables: Number of @tables
 * @shapes_err: 0 or -errno of a page table with parameters; -EOPNOTSUPP only if
 *              every attempt returned it
 * @plain_err: 0 or -errno of a page table without parameters
 * @parent_err: 0 or -errno of a nest parent
 * @viommu_err: 0 or -errno of a vIOMMU on the nest parent. This and the
 *              following are -ENOENT without an attempt; they need a vIOMMU.
 * @nested_err: 0 or -errno of a nested HWPT whose vSTE aborts all DMA
 * @invalidate_err: 0 or -errno of an invalidation
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

/* The newer ioctls, in numeric order */
#define NUM_CALLS	9

struct call {
	const char *name;
	unsigned int cmd;
	enum known there;
};

/**
 * struct kernel - Facts about the kernel
 * @release: Release name from uname
 * @err: 0, or -errno of opening /dev/iommu
 * @calls: The newer ioctls, and their presence
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

/* Return: true if iommufd returned the registers of an SMMUv3 */
bool is_smmu(const struct device *dev);

/* nesting.c */

/**
 * can_nest() - Decide if a guest can use stage 1 of a device
 * @kernel: The kernel
 * @dev: The device, after ask_device()
 * @why: Receives the reason if the answer is not YES
 * @size: Size of @why
 *
 * Return: YES, NO, or UNKNOWN
 */
enum known can_nest(const struct kernel *kernel, const struct device *dev,
		    char *why, size_t size);

/* sysfs.c */
struct name {
	char s[64];
};

/**
 * sysfs_devices() - List the devices of this machine that may have an IOMMU
 * @devs: Receives a sorted array of names; the caller frees it
 *
 * Return: number of names, or -errno
 */
int sysfs_devices(struct name **devs);

/* Return: 0, or -ENODEV */
int sysfs_device(const char *name, struct device *dev);

/* Value of arm_smmu_v3.assume_canwbs; UNKNOWN if it is missing */
enum known sysfs_assume_canwbs(void);

/**
 * sysfs_config() - Look a symbol up in /boot/config-RELEASE or /proc/config.gz
 * @kernel: The kernel
 * @symbol: Name of the symbol, with CONFIG_
 *
 * Return: YES if it is y or m, UNKNOWN without either file
 */
enum known sysfs_config(const struct kernel *kernel, const char *symbol);

#endif
