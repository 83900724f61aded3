using Spectre.Console;

namespace ReproducePaper.Report;

/// <summary>What is printed at the end: Table 1, in Markdown, and the verdicts.</summary>
internal static class ConsoleSummary
{
    private const int Width = 220;

    public static void Write(StudyResults results)
    {
        Table table = new() { Border = TableBorder.Markdown };
        foreach (string head in Table1.Heads(results))
        {
            table.AddColumn(new TableColumn(head) { NoWrap = true });
        }

        foreach (TableRow row in TableRow.Of(results))
        {
            table.AddRow([.. Table1.Cells(row).Select(Markup.Escape)]);
        }

        AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, Width);
        AnsiConsole.Write(table);
        foreach (Claim claim in PaperClaims.OfTable1(results).Concat(PaperClaims.OfForgetting(results)))
        {
            Console.WriteLine($"{claim.Text} {claim.VerdictText}: {claim.Evidence}");
        }
    }
}
