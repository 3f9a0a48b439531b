// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocation of domains on behalf of user space. Nothing else in iommufd calls
 * iommu_ops::alloc_user_domain.
 */
#include <linux/iommu.h>
#include <linux/iommu-user-domain.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

/* Room for the data of all current drivers. More comes from the heap. */
#define SMALL_DATA_LEN	64

/* The only read of the user's data. @small has SMALL_DATA_LEN bytes. */
static int iommufd_user_domain_copy(struct iommu_user_domain_params *params,
				    const struct iommu_user_data *user_data,
				    void *small)
{
	void *data = small;

	if (user_data->len > PAGE_SIZE)
		return -E2BIG;

	if (user_data->len > SMALL_DATA_LEN) {
		data = kmalloc(user_data->len, GFP_KERNEL_ACCOUNT);
		if (!data)
			return -ENOMEM;
	}
	if (copy_from_user(data, user_data->uptr, user_data->len)) {
		if (data != small)
			kfree(data);
		return -EFAULT;
	}
	params->data_type = user_data->type;
	params->data_len = user_data->len;
	params->data = data;
	return 0;
}

/**
 * iommufd_user_domain_alloc() - Have the driver allocate a domain
 * @idev: Device to allocate the domain for
 * @flags: Flags of user space, 0 for a domain that iommufd allocates by itself
 * @parent: Nest parent of a nested domain, or NULL
 * @viommu: vIOMMU of a nested domain, or NULL
 * @user_data: Type and data of user space, or NULL
 *
 * Return:
 * * the domain: nested if there is a @parent, else a paging domain
 * * -EOPNOTSUPP if the driver does not have the op
 * * -E2BIG if the data is longer than a page
 * * -EFAULT if the data can't be read
 * * -EINVAL if the driver returns a domain of the wrong type
 * * -ENOMEM
 * * any error of the op
 */
struct iommu_domain *
iommufd_user_domain_alloc(struct iommufd_device *idev, u32 flags,
			  struct iommu_domain *parent,
			  struct iommu_viommu *viommu,
			  const struct iommu_user_data *user_data)
{
	const struct iommu_ops *ops = dev_iommu_ops(idev->dev);
	struct iommu_user_domain_params params = {
		.flags = flags,
		.parent = parent,
		.viommu = viommu,
	};
	struct iommu_domain *domain;
	u64 small[SMALL_DATA_LEN / sizeof(u64)];
	bool as_promised;
	int rc;

	if (!ops->alloc_user_domain)
		return ERR_PTR(-EOPNOTSUPP);

	if (user_data) {
		rc = iommufd_user_domain_copy(&params, user_data, small);
		if (rc)
			return ERR_PTR(rc);
	}
	domain = ops->alloc_user_domain(idev->dev, &params);
	if (params.data != small)
		kfree(params.data);
	if (IS_ERR(domain))
		return domain;
	domain->owner = ops;

	if (parent)
		as_promised = domain->type == IOMMU_DOMAIN_NESTED;
	else
		as_promised = domain->type & __IOMMU_DOMAIN_PAGING;
	if (WARN_ON_ONCE(!as_promised)) {
		iommu_domain_free(domain);
		return ERR_PTR(-EINVAL);
	}
	return domain;
}
