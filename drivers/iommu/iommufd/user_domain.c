// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one place where iommufd asks an IOMMU driver for a domain on behalf of
 * user space.
 */
#include <linux/iommu.h>
#include <linux/iommu-user-domain.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

/* The only time that the user's data is read */
static int iommufd_user_domain_copy(struct iommu_user_domain_params *params,
				    const struct iommu_hwpt_alloc *cmd)
{
	void *data;

	if (!cmd->data_len)
		return 0;
	if (cmd->data_len > PAGE_SIZE)
		return -E2BIG;

	data = kmalloc(cmd->data_len, GFP_KERNEL_ACCOUNT);
	if (!data)
		return -ENOMEM;
	if (copy_from_user(data, u64_to_user_ptr(cmd->data_uptr),
			   cmd->data_len)) {
		kfree(data);
		return -EFAULT;
	}
	params->data = data;
	return 0;
}

/**
 * iommufd_user_domain_alloc() - Have the driver allocate a domain
 * @idev: Device to allocate the domain for
 * @cmd: What user space asks for: flags, data type and data. All zero for a
 *       domain that nobody asked anything of.
 * @parent: The nest parent of a nested domain, or NULL
 * @viommu: The vIOMMU that a nested domain is for, or NULL
 *
 * Return:
 * * the domain, of the type that iommu_ops::alloc_user_domain promises
 * * -EOPNOTSUPP if the driver does not have the op
 * * -E2BIG if the data is longer than a page
 * * -EFAULT if it can't be read
 * * -ENOMEM
 * * any error of the op
 */
struct iommu_domain *
iommufd_user_domain_alloc(struct iommufd_device *idev,
			  const struct iommu_hwpt_alloc *cmd,
			  struct iommu_domain *parent,
			  struct iommu_viommu *viommu)
{
	const struct iommu_ops *ops = dev_iommu_ops(idev->dev);
	struct iommu_user_domain_params params = {
		.flags = cmd->flags & ~IOMMU_HWPT_FAULT_ID_VALID,
		.fault_queue = cmd->flags & IOMMU_HWPT_FAULT_ID_VALID,
		.data_type = cmd->data_type,
		.data_len = cmd->data_len,
		.parent = parent,
		.viommu = viommu,
	};
	struct iommu_domain *domain;
	bool as_promised;
	int rc;

	if (!ops->alloc_user_domain)
		return ERR_PTR(-EOPNOTSUPP);

	rc = iommufd_user_domain_copy(&params, cmd);
	if (rc)
		return ERR_PTR(rc);
	domain = ops->alloc_user_domain(idev->dev, &params);
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
