using System.Globalization;

namespace Microsoft.ML.Sorsa.Analysis;

/// <summary>The layer that a module is in, as its name says.</summary>
internal static class LayerNumber
{
    /// <summary>The first number among the parts of a name: 3 of model.layers.3.self_attn.q_proj; null where there is none.</summary>
    public static int? In(string path)
    {
        foreach (string part in path.Split('.'))
        {
            if (int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            {
                return number;
            }
        }

        return null;
    }
}
