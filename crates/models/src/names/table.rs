//! The words that the rules go by: facts of languages and maps, written down here, none copied from a data set.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// How many capitalised words a phrase asks for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Strength {
    /// One is a name.
    Alone,
    /// Two at least: "this is Great" is no introduction.
    Pair,
}

pub(super) struct Tables {
    pub titles: HashSet<&'static str>,
    pub phrases: HashMap<&'static str, Strength>,
    pub closings: HashSet<&'static str>,
    pub living: HashSet<&'static str>,
    pub speaking: HashSet<&'static str>,
    pub prepositions: HashSet<&'static str>,
    pub particles: HashSet<&'static str>,
    pub never: HashSet<&'static str>,
    pub firms: HashSet<&'static str>,
    pub given: HashSet<&'static str>,
    pub place_beginnings: HashSet<&'static str>,
    pub places: HashSet<&'static str>,
    pub places_doubtful: HashSet<&'static str>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let phrase = |list: &'static str, strength| split(list).map(move |phrase| (phrase, strength));
    Tables {
        titles: TITLES.split_whitespace().collect(),
        phrases: phrase(ALONE, Strength::Alone).chain(phrase(PAIR, Strength::Pair)).collect(),
        closings: CLOSINGS.split_whitespace().collect(),
        living: split(LIVING).collect(),
        speaking: SPEAKING.split_whitespace().collect(),
        prepositions: PREPOSITIONS.split_whitespace().collect(),
        particles: PARTICLES.split_whitespace().collect(),
        never: NEVER.split_whitespace().collect(),
        firms: FIRMS.split_whitespace().collect(),
        given: GIVEN.split_whitespace().collect(),
        place_beginnings: PLACE_BEGINNINGS.split_whitespace().collect(),
        places: split(PLACES).collect(),
        places_doubtful: PLACES_DOUBTFUL.split_whitespace().collect(),
    }
});

fn split(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty())
}

impl Tables {
    pub(super) fn get() -> &'static Tables {
        &TABLES
    }

    /// What a field of this name holds, and how many capitalised words show it. `name` names files and jobs as well.
    pub(super) fn field(&self, key: &str) -> Option<(&'static str, usize)> {
        match key.to_lowercase().as_str() {
            "name" | "nom" | "nombre" | "nome" | "naam" | "customer" | "client" | "contact" | "patient"
            | "employee" | "kunde" | "author" | "actor" | "sender" | "recipient" | "assignee"
            | "reporter" | "owner" | "cardholder" | "full_name" | "fullname" | "customer_name"
            | "patient_name" | "contact_name" => Some((super::PERSON, 2)),
            "first_name" | "firstname" | "given_name" | "last_name" | "lastname" | "surname" | "vorname"
            | "nachname" | "prénom" | "apellido" | "cognome" => Some((super::PERSON, 1)),
            "city" | "town" | "stadt" | "wohnort" | "geburtsort" | "ville" | "ciudad" | "città"
            | "cidade" | "birthplace" | "country" | "pays" | "país" => Some((super::LOCATION, 1)),
            _ => None,
        }
    }
}

const TITLES: &str = "Mr Mrs Ms Miss Mx Dr Prof Professor Sir Dame Lady Lord Rev Reverend Capt Captain Lt Col Sgt Judge Senator \
    Herr Frau Fräulein Hr Fr Dipl Ing Mag Univ Dott Dottor Dottoressa Sig Signor Signora Sr Sra Srta Señor Señora Don Doña Monsieur \
    Madame Mademoiselle M Mme Mlle Maître Senhor Senhora Dhr Mevr Mevrouw Meneer Pan Pani Fru Hr";

const ALONE: &str = "my name is, name is, my name's, ich heiße, mein name ist, je m'appelle, mon nom est, mi nombre es, me llamo, \
    mi chiamo, il mio nome è, meu nome é, me chamo, mijn naam is, ik heet, jag heter, nazywam się, dear, liebe, lieber, chère, \
    cher, querida, querido, sincerely, regards, best regards, kind regards, warm regards, grüße, grüßen, cordialement, saludos, a person named, \
    a man named, a woman named, a customer named, a patient named";

const PAIR: &str = "this is, i am, i'm, here is, ich bin, hier ist, je suis, soy, sono, eu sou, signed by, written by, spoke with, spoke \
    to, talked to, met with, meeting with, discussed with, call with, named, called, contact, attn, on behalf of, reply to, write to, \
    letter to, letter from, message to, message from, email to, email from, mail to, mail from, addressed to, hi, hello, hey";

const CLOSINGS: &str = "Regards regards Sincerely sincerely Grüße Grüßen grüßen Cordialement Saludos saludos";

const LIVING: &str = "lives in, lived in, live in, living in, born in, moved to, move to, moving to, based in, resides in, residing in, \
    resident of, travel to, travelling to, traveling to, trip to, flight to, wohnt in, wohne in, geboren in, lebt in, lebe in, habite à, \
    habitant à, né à, née à, vive en, vivo en, nacido en, nacida en, abita a, vivo a, nato a, nata a, mora em, moro em, woont in";

const SPEAKING: &str = "wrote writes said says told asked asks replied answered called emailed phoned reported claimed explained added \
    confirmed complained insisted lives lived works worked sagte schrieb sagt schreibt dit écrit dijo escribió disse scrisse";

const PREPOSITIONS: &str = "in from to near nach aus bei à en desde vers em para";

const PARTICLES: &str =
    "von van der den de di da del della des du la le las los zu zum zur ten ter bin ibn al dos das e y";

/// Capitalised words that begin sentences and headings, or stand beside names without being of them.
const NEVER: &str = "The This That These Those It Its He She We You They There Here What Which Who Whose When Where Why How And Or But If \
    As At By For From In Into Of On To With Without Not No Yes All Any Each Every Some Such Than Then Also Only Just Our Your His Her \
    Their My Is Are Was Were Be Has Have Had Do Does Did Can Could Will Would Shall Should May Might Must Please Thanks Thank Hello Hi \
    Hey Dear Sir Madam Customer Customers Team Everyone Friend Friends User Users Support Service Manager Hiring Colleague Colleagues \
    President Chairman Director Minister Committee Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March \
    April June July August September October November December Morning Evening Afternoon Night Today Tomorrow Yesterday Order Invoice \
    Ref Total Build Note Notes See Section Chapter Figure Table Page Part Step Example New Street Avenue Road Boulevard Lane Drive Square \
    Station Airport Hotel Restaurant School Hospital Church Museum Park Bridge River Lake Mountain Island North South East West \
    Summarise Summarize Translate Explain Write Describe List Give Tell Ask Use Using Create Make Get Set Run Add Remove Update Check \
    Der Die Das Ein Eine Ich Du Wir Ihr Sie Es Und Oder Aber Mit Von Im Am Den Dem Le La Les Un Une Je Tu Il Elle Nous Vous El Los Las \
    Yo Lo Gli Io API JSON HTML HTTP Python Rust Java English German French Spanish Italian Internet Web Data Error Warning Type Value";

const PLACE_BEGINNINGS: &str = "New North South East West Lake Mountain Saint San Santa Los Las La Le El The";

const FIRMS: &str = "Inc Corp Corporation Ltd Limited LLC PLC GmbH AG SA SE NV BV Company Co Group Holdings University College Institute \
    Foundation Association Society Bank Times Post News Press Magazine Union Party Act Award Awards Protocol License Licence Foundation \
    Framework Library Project Language Office Court Council Department Ministry Agency Center Centre";

/// Given names that are common somewhere in Europe or the Americas, without those that begin sentences as words.
const GIVEN: &str = "Aaron Abigail Adam Adrian Agnes Ahmed Aisha Alan Albert Alejandro Alessandro Alessia Alex Alexander Alexandra Alfred Ali \
    Alice Alicia Alison Allison Amanda Amélie Amy Ana Anabel Andrea Andreas Andreea Andrew Andrés Angela Angelika Anita Anja Ann Anna Anne \
    Annette Annika Anthony Antje Antoine Antonio António Ariana Arthur Ashley Astrid Audrey Barbara Bastian Beatrice Beatriz Benjamin \
    Bernard Bernd Bernhard Bertrand Beth Betty Birgit Björn Brandon Brenda Brian Brigitte Bruno Caitlin Camila Camille Carl Carla \
    Carlos Carmen Carol Caroline Carolyn Catherine Cecilia Céline Chantal Charles Charlotte Cheryl Chiara Chloé Christian Christina Christine \
    Christoph Christophe Christopher Claire Clara Claudia Clément Colin Connor Corinne Craig Cristina Cynthia Damien Daniel Daniela Danielle \
    Darren David Deborah Debra Denis Denise Dennis Derek Diana Diane Diego Dieter Dirk Dominik Dominique Donald Donna Dorothea Dorothy \
    Douglas Duncan Dylan Edith Eduardo Edward Elena Eleanor Elisabeth Élisabeth Élise Elizabeth Ella Ellen Emilia Emily Emma Emmanuel Enrique Eric \
    Erica Erik Erika Ernst Esther Ethan Eugen Eugene Eva Evelyn Fabian Fatima Federico Felix Ferdinand Fernanda Fernando Fiona Florian \
    Francesca Francesco Francis Francisco François Françoise Frank Franz Frédéric Friedrich Gabriel Gabriela Gabriele Gareth Gary Gemma \
    Georg Georges Gerald Gérard Gerd Gerhard Gertrud Gilbert Gilles Giovanni Giulia Giuseppe Gordon Greg Gregory Guillaume Guillermo Gustav Günter \
    Hannah Hans Harald Harold Hassan Heather Heidi Heike Heinrich Heinz Helen Helena Helene Helga Helmut Henri Henry Herbert Hermann Horst Hugo \
    Ibrahim Ingrid Irene Irina Isabel Isabella Isabelle Ivan Jacqueline Jacques Jake Jakob James Jamie Jan Jane Janet Janice Javier Jean \
    Jeanne Jeff Jeffrey Jennifer Jens Jeremy Jérôme Jessica Joachim Joan Joanna Joanne João Joe Joel Johann Johanna Johannes John Jonas \
    Jonathan Jorge José Josef Joseph Joshua Juan Juana Judith Julia Julian Juliane Julie Julien Jürgen Justin Jutta Karen Karin Karl Karina \
    Karsten Kate Katharina Katherine Kathleen Kathryn Katie Katja Katrin Kay Keith Kelly Kenneth Kerstin Kevin Kim Kimberly Klaus Konrad Kristen \
    Kristin Kurt Kyle Laetitia Lars Laura Lauren Laurence Laurent Laurie Lawrence Léa Lena Leon Leonard Leonardo Leonie Lewis Liam Linda Lisa Logan \
    Lorenzo Lothar Louis Louise Luc Lucas Lucía Lucie Lucy Luis Luisa Luke Lydia Lynn Madeleine Magdalena Manfred Manuel Manuela Marc Marcel Marco \
    Marcus Margaret Margot Maria María Mariam Marie Mariana Marina Mario Marion Markus Marlene Marta Martha Martin Martina Mary Mateo \
    Matteo Matthew Matthias Maurice Max Maximilian Megan Melanie Melissa Mia Michael Michaela Michel Michelle Miguel Mike Mikhail Milena \
    Miriam Mohamed Mohammed Mónica Monica Monika Monique Muhammad Nadia Nadine Nancy Naomi Natalia Natalie Nathalie Nathan Niamh Nicholas Nick \
    Nicola Nicolas Nicole Nils Noah Nora Norbert Norman Olga Oliver Olivia Olivier Oscar Oskar Otto Owen Pablo Pamela Paolo Pascal Patricia \
    Patrick Patrik Paul Paula Paulette Pauline Pedro Peter Petra Philip Philipp Philippe Phillip Pierre Pilar Rachel Rafael Rainer Ralf Ralph \
    Ramón Raúl Raymond Rebecca Regina Reinhard Renate Renée Ricardo Richard Rita Robert Roberto Robin Rodrigo Roger Roland Rolf Roman Ronald \
    Rosa Rosemary Roxane Rudolf Russell Ruth Ryan Sabine Sabrina Samantha Samuel Sandra Sara Sarah Sascha Scott Sean Sebastian Sergio Shannon \
    Sharon Shirley Sibylle Silke Silvia Simon Simone Sonia Sonja Sophie Stefan Stefanie Stephan Stéphane Stéphanie Stephanie Stephen Steve Steven Stuart \
    Susan Susanne Suzanne Svenja Sven Sylvie Tamara Tanja Tara Tatiana Teresa Thea Theodor Theodore Theresa Thérèse Thierry Thomas Tiffany Tim Timothy \
    Tina Tobias Tom Tomás Tony Torsten Tracy Ulrich Ulrike Ursula Ute Uwe Valentin Valentina Valérie Vanessa Vera Veronica Véronique Vicente \
    Vincent Viktor Virginie Vladimir Volker Walter Wendy Werner Wilhelm William Willie Wolfgang Xavier Yannick Yusuf Yves Yvonne Zoe Zoé";

const PLACES: &str = "Afghanistan, Albania, Algeria, Andorra, Angola, Argentina, Armenia, Australia, Austria, Azerbaijan, Bahrain, Bangladesh, \
    Belarus, Belgium, Belgique, Belgien, Bolivia, Bosnia, Botswana, Brazil, Brasil, Bulgaria, Burundi, Cambodia, Cameroon, Canada, Chile, China, \
    Colombia, Costa Rica, Croatia, Cuba, Cyprus, Czechia, Czech Republic, Denmark, Deutschland, Dominican Republic, Ecuador, Egypt, El Salvador, \
    England, Eritrea, España, Estonia, Ethiopia, Finland, France, Frankreich, Germany, Ghana, Great Britain, Greece, Greenland, \
    Guatemala, Haiti, Honduras, Hungary, Iceland, India, Indonesia, Iran, Iraq, Ireland, Israel, Italy, Italia, Italien, Jamaica, Japan, Kazakhstan, \
    Kenya, Kosovo, Kuwait, Laos, Latvia, Lebanon, Libya, Liechtenstein, Lithuania, Luxembourg, Madagascar, Malaysia, Mali, Malta, Mauritius, \
    Mexico, México, Moldova, Monaco, Mongolia, Montenegro, Morocco, Mozambique, Myanmar, Namibia, Nepal, Netherlands, New Zealand, Nicaragua, Niger, \
    Nigeria, North Korea, Norway, Oman, Österreich, Pakistan, Panama, Paraguay, Peru, Philippines, Poland, Polen, Portugal, Qatar, Romania, Russia, \
    Rwanda, Saudi Arabia, Schweiz, Scotland, Senegal, Serbia, Singapore, Slovakia, Slovenia, Somalia, South Africa, South Korea, Spain, Spanien, Sri Lanka, \
    Sudan, Suisse, Sweden, Switzerland, Syria, Taiwan, Tanzania, Thailand, Tunisia, Uganda, Ukraine, United Arab Emirates, United Kingdom, \
    United States, Uruguay, Uzbekistan, Venezuela, Vietnam, Yemen, Zambia, Zimbabwe
    Amsterdam, Ankara, Antwerp, Athens, Atlanta, Auckland, Baghdad, Bangkok, Barcelona, Basel, Beijing, Beirut, Belfast, Belgrade, Berlin, Bern, \
    Birmingham, Bogotá, Bologna, Bonn, Bordeaux, Boston, Bratislava, Bremen, Brisbane, Bristol, Brussels, Bruxelles, Bucharest, Budapest, Buenos Aires, \
    Cairo, Calgary, Cape Town, Caracas, Cardiff, Casablanca, Chennai, Chicago, Cologne, Copenhagen, Dallas, Damascus, Delhi, Denver, Detroit, Dortmund, \
    Dresden, Dubai, Dublin, Düsseldorf, Edinburgh, Florianópolis, Frankfurt, Geneva, Genève, Genoa, Ghent, Glasgow, Gothenburg, Graz, Grenoble, Hamburg, \
    Hanoi, Hannover, Havana, Heidelberg, Helsinki, Hong Kong, Honolulu, Houston, Innsbruck, Istanbul, Jakarta, Jerusalem, Johannesburg, Kabul, Karachi, \
    Kiev, Kyiv, Kolkata, Köln, Kraków, Kuala Lumpur, Kyoto, Lagos, Lahore, Las Vegas, Lausanne, Leeds, Leicester, Leipzig, Lille, Linz, Lisbon, Lisboa, \
    Liverpool, Ljubljana, London, Los Angeles, Lyon, Madrid, Málaga, Manchester, Manila, Marrakesh, Marseille, Melbourne, Mexico City, Miami, Milan, Milano, \
    Minneapolis, Montevideo, Montpellier, Montreal, Montréal, Moscow, Mumbai, Munich, München, Nairobi, Nantes, Naples, Napoli, New Delhi, New Orleans, New York, \
    Newcastle, Nottingham, Nuremberg, Nürnberg, Osaka, Oslo, Ottawa, Oxford, Paris, Philadelphia, Pittsburgh, Porto, Prague, Pretoria, Quito, Reykjavik, \
    Riga, Rio de Janeiro, Riyadh, Rome, Roma, Rotterdam, Rouen, Saint Petersburg, Salzburg, San Diego, San Francisco, San José, São Paulo, Sarajevo, Seattle, \
    Seoul, Seville, Sevilla, Shanghai, Sheffield, Shenzhen, Skopje, Southampton, Stockholm, Strasbourg, Stuttgart, Taipei, Tallinn, Tehran, Tel Aviv, \
    The Hague, Tirana, Tokyo, Toronto, Toulouse, Tripoli, Turin, Torino, Utrecht, Valencia, Vancouver, Venice, Venezia, Vienna, Vilnius, Warsaw, Washington DC, \
    Wellington, Wien, Winnipeg, Wrocław, Zagreb, Zaragoza, Zurich, Zürich";

/// Also words, given names or surnames.
const PLACES_DOUBTFUL: &str = "Adelaide Alexandria Austin Bath Cambridge Chad Charlotte Columbus Cork Derby Florence Georgia Guinea Hamilton Houston \
    Jackson Jordan Lima Lincoln Mobile Nancy Nice Orange Orlando Perth Phoenix Reading Regina Sandwich Santiago Sofia Split Sydney Togo \
    Turkey Tours Victoria Vichy Wales Washington York Essen";
