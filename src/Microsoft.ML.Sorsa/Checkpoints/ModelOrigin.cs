namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>A model that others are made from.</summary>
/// <param name="Name">Its id on Hugging Face, or its folder's name.</param>
/// <param name="License">As its folder says.</param>
internal sealed record ModelOrigin(string Name, ModelLicense License);
