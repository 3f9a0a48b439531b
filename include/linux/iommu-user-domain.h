/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Domains that user space describes by parameters: the input of
 * iommu_ops::alloc_user_domain, and a helper for drivers to read it.
 */
#ifndef __LINUX_IOMMU_USER_DOMAIN_H
#define __LINUX_IOMMU_USER_DOMAIN_H

#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>

struct iommu_domain;
struct iommu_viommu;

/**
 * struct iommu_user_domain_params - Description of a domain for user space
 * @flags: All flags of IOMMU_HWPT_ALLOC as user space gave them. A driver
 *         refuses an unknown flag with -EOPNOTSUPP. It refuses
 *         IOMMU_HWPT_FAULT_ID_VALID in the same way if the device can't wait
 *         for the answer to a fault. The core attaches the fault queue to the
 *         domain.
 * @data_type: One of enum iommu_hwpt_data_type, IOMMU_HWPT_DATA_NONE if there
 *             is no data
 * @data: Kernel copy of the opaque, driver-specific parameters, NULL if
 *        @data_type is IOMMU_HWPT_DATA_NONE. Read it by
 *        iommu_user_domain_data().
 * @data_len: Length of @data in bytes, from 0 to PAGE_SIZE
 * @parent: Kernel-managed domain to nest on, or NULL. The same driver allocated
 *          it with IOMMU_HWPT_ALLOC_NEST_PARENT.
 * @viommu: vIOMMU that the domain belongs to, or NULL. If given, @parent is its
 *          nest parent, and the device is behind the same physical IOMMU
 *          instance.
 *
 * Valid during the call only. There is no user pointer in it, so the parameters
 * can't change while the driver reads them.
 */
struct iommu_user_domain_params {
	u32 flags;
	u32 data_type;
	const void *data;
	size_t data_len;
	struct iommu_domain *parent;
	struct iommu_viommu *viommu;
};

/* See iommu_user_domain_data() */
static inline int
__iommu_user_domain_data(void *dst, size_t dst_len, size_t min_len,
			 const struct iommu_user_domain_params *params,
			 u32 data_type)
{
	size_t len = min(dst_len, params->data_len);

	if (params->data_type != data_type || params->data_len < min_len)
		return -EINVAL;
	if (memchr_inv(params->data + len, 0, params->data_len - len))
		return -E2BIG;
	memcpy(dst, params->data, len);
	memset(dst + len, 0, dst_len - len);
	return 0;
}

/**
 * iommu_user_domain_data() - Get a typed view of the opaque parameters
 * @dst: Pointer to the driver's struct, filled in on success
 * @params: Parameters of iommu_ops::alloc_user_domain
 * @type: Data type of the struct, IOMMU_HWPT_DATA_*
 * @min_last: Last member of the first version of the struct
 *
 * The data must cover the first version. If it ends within the struct, the rest
 * of the struct reads as zeros.
 *
 * Return:
 * * 0 on success
 * * -EINVAL if the data is of another type or shorter than the first version
 * * -E2BIG if there is a non-zero byte beyond the end of the struct
 */
#define iommu_user_domain_data(dst, params, type, min_last)                  \
({                                                                           \
	typeof(dst) __dst = (dst);                                           \
									     \
	__iommu_user_domain_data(__dst, sizeof(*__dst),                      \
				 offsetofend(typeof(*__dst), min_last),      \
				 params, type);                              \
})

#endif /* __LINUX_IOMMU_USER_DOMAIN_H */
