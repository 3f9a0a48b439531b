/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One function per iommufd ioctl. All return 0 or -errno. On failure they don't
 * touch their output arguments unless noted.
 */
#ifndef SELFTEST_IOMMU_LIB_IOMMUFD_H
#define SELFTEST_IOMMU_LIB_IOMMUFD_H

#include <linux/types.h>
#include <linux/iommufd.h>

/**
 * iommufd_cmd() - Issue an ioctl
 * @fd: the iommufd or a vfio device
 * @req: IOMMU_* or VFIO_*
 * @arg: the struct of the ioctl
 *
 * Return: the result of the ioctl, -errno instead of -1
 */
int iommufd_cmd(int fd, unsigned long req, void *arg);

int iommufd_open(void);
int iommufd_destroy(int fd, __u32 id);
int iommufd_ioas_alloc(int fd, __u32 *ioas_id);

/* @prot: IOMMU_IOAS_MAP_READABLE, IOMMU_IOAS_MAP_WRITEABLE or both */
int iommufd_ioas_map(int fd, __u32 ioas_id, const void *va, __u64 length,
		     __u64 iova, __u32 prot);
/* iommufd_ioas_map() of a memfd, from byte @start of the file on */
int iommufd_ioas_map_file(int fd, __u32 ioas_id, int memfd, __u64 start,
			  __u64 length, __u64 iova, __u32 prot);
int iommufd_ioas_unmap(int fd, __u32 ioas_id, __u64 iova, __u64 length);

/* @num: in: room in @ranges, out: number of ranges, also on -EMSGSIZE */
int iommufd_ioas_iova_ranges(int fd, __u32 ioas_id,
			     struct iommu_iova_range *ranges, __u32 *num);

/* Allocate a kernel-managed HWPT on an IOAS, without data */
int iommufd_hwpt_alloc(int fd, __u32 dev_id, __u32 ioas_id, __u32 flags,
		       __u32 *hwpt_id);
int iommufd_hwpt_alloc_data(int fd, __u32 dev_id, __u32 pt_id, __u32 flags,
			    __u32 data_type, const void *data, __u32 data_len,
			    __u32 *hwpt_id);
int iommufd_hwpt_alloc_ste(int fd, __u32 dev_id, __u32 viommu_id,
			   struct iommu_hwpt_arm_smmuv3 ste, __u32 *hwpt_id);
int iommufd_viommu_alloc(int fd, __u32 dev_id, __u32 hwpt_id, __u32 type,
			 __u32 *viommu_id);
int iommufd_vdevice_alloc(int fd, __u32 viommu_id, __u32 dev_id, __u64 virt_id,
			  __u32 *vdevice_id);
int iommufd_veventq_alloc(int fd, __u32 viommu_id, __u32 type, __u32 depth,
			  __u32 *veventq_id, int *veventq_fd);

/* @num: in: entries, out: entries done, also on failure */
int iommufd_invalidate(int fd, __u32 id, __u32 data_type, const void *entries,
		       __u32 entry_len, __u32 *num);

/* @len: in: room at @data, out: size in the kernel. @caps may be NULL */
int iommufd_hw_info(int fd, __u32 dev_id, __u32 *type, void *data, __u32 *len,
		    __u64 *caps);

#endif
