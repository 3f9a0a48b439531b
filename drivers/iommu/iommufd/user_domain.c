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

/**
 * iommufd_user_domain_get_params() - Turn an ioctl into domain parameters
 * @params: Filled in: flags, data type and a kernel copy of the data
 * @cmd: The ioctl's struct, already copied from user space
 *
 * This is the only time that the user's data is read. The caller frees the
 * copy by iommufd_user_domain_put_params().
 *
 * Return: 0, or
 * * -E2BIG if the data is longer than a page
 * * -EFAULT if it can't be read
 * * -ENOMEM
 */
int iommufd_user_domain_get_params(struct iommu_user_domain_params *params,
				   const struct iommu_hwpt_alloc *cmd)
{
	void *data;

	*params = (struct iommu_user_domain_params){
		.flags = cmd->flags & ~IOMMU_HWPT_FAULT_ID_VALID,
		.data_type = cmd->data_type,
		.data_len = cmd->data_len,
	};
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
 * iommufd_user_domain_put_params() - Free what get_params allocated
 * @params: From iommufd_user_domain_get_params()
 */
void iommufd_user_domain_put_params(struct iommu_user_domain_params *params)
{
	kfree(params->data);
	params->data = NULL;
}

/**
 * iommufd_user_domain_alloc() - Have the driver allocate a domain
 * @idev: Device to allocate the domain for
 * @params: What the domain has to be
 *
 * Return: the domain, of the type that iommu_ops::alloc_user_domain promises,
 * or an ERR_PTR():
 * * -EOPNOTSUPP if the driver does not have the op
 * * any error of the op
 */
struct iommu_domain *
iommufd_user_domain_alloc(struct iommufd_device *idev,
			  const struct iommu_user_domain_params *params)
{
	const struct iommu_ops *ops = dev_iommu_ops(idev->dev);
	struct iommu_domain *domain;
	bool as_promised;

	if (!ops->alloc_user_domain)
		return ERR_PTR(-EOPNOTSUPP);

	domain = ops->alloc_user_domain(idev->dev, params);
	if (IS_ERR(domain))
		return domain;
	domain->owner = ops;

	if (params->parent)
		as_promised = domain->type == IOMMU_DOMAIN_NESTED;
	else
		as_promised = domain->type & __IOMMU_DOMAIN_PAGING;
	if (WARN_ON_ONCE(!as_promised)) {
		iommu_domain_free(domain);
		return ERR_PTR(-EINVAL);
	}
	return domain;
}
